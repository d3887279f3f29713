// The kernel that is running: libnftables, rtnetlink and /proc/sys.
#ifndef WHENCE_DATAPLANE_INTERCEPT_LINUX_KERNEL_H_
#define WHENCE_DATAPLANE_INTERCEPT_LINUX_KERNEL_H_

#include <string>
#include <vector>

#include "dataplane/intercept/kernel.h"

namespace whence::intercept {

// Thread-compatible; keeps nothing between calls.
class LinuxKernel final : public Kernel {
 public:
  absl::StatusOr<std::string> ListTable(bool with_counters) override;
  absl::Status RunNft(const std::string& commands, bool dry_run) override;
  absl::StatusOr<std::vector<FibRule>> ListRules() override;
  absl::Status AddRule(const FibRule& rule) override;
  absl::Status DeleteRule(const FibRule& rule) override;
  absl::StatusOr<std::vector<LocalRoute>> ListRoutes(uint32_t table) override;
  absl::Status AddRoute(const LocalRoute& route) override;
  absl::Status DeleteRoute(const LocalRoute& route) override;
  absl::StatusOr<bool> HasLoopbackSix() override;
  absl::Status AddLoopbackSix() override;
  absl::Status DeleteLoopbackSix() override;
  absl::StatusOr<std::string> ReadSysctl(const std::string& name) override;
  absl::Status WriteSysctl(const Sysctl& sysctl) override;
  absl::StatusOr<bool> LoopbackIsUp() override;
  absl::StatusOr<ListenerFacts> FindListener(uint16_t port) override;
};

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_LINUX_KERNEL_H_
