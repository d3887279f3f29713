// What the installer and the check need from a kernel.
//
// An interface, so that both can be tried against a fake whose n-th call fails. LinuxKernel
// (linux_kernel.h) is the real one.
#ifndef WHENCE_DATAPLANE_INTERCEPT_KERNEL_H_
#define WHENCE_DATAPLANE_INTERCEPT_KERNEL_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/intercept/rule_set.h"

namespace whence::intercept {

// A listening TCP socket on the agent's port.
struct ListenerFacts {
  bool ipv4 = false;  // reachable over IPv4
  bool ipv6 = false;
  // Nothing when the kernel does not tell.
  std::optional<bool> transparent;
  std::optional<uint32_t> mark;
};

// Thread-compatible. Everything happens in the network namespace of the calling thread. Errors name
// the call and its object.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // `nft -s list table inet whence` (with counters: without -s); empty when there is no such table.
  virtual absl::StatusOr<std::string> ListTable(bool with_counters) = 0;
  // One transaction. `dry_run` asks the kernel whether it would accept it.
  virtual absl::Status RunNft(const std::string& commands, bool dry_run) = 0;

  virtual absl::StatusOr<std::vector<FibRule>> ListRules() = 0;
  virtual absl::Status AddRule(const FibRule& rule) = 0;
  virtual absl::Status DeleteRule(const FibRule& rule) = 0;

  // Whatever routes a table has, local or not.
  virtual absl::StatusOr<std::vector<LocalRoute>> ListRoutes(uint32_t table) = 0;
  virtual absl::Status AddRoute(const LocalRoute& route) = 0;
  virtual absl::Status DeleteRoute(const LocalRoute& route) = 0;

  // ::6/128 on lo.
  virtual absl::StatusOr<bool> HasLoopbackSix() = 0;
  virtual absl::Status AddLoopbackSix() = 0;
  virtual absl::Status DeleteLoopbackSix() = 0;

  // NotFound when this kernel has no such setting.
  virtual absl::StatusOr<std::string> ReadSysctl(const std::string& name) = 0;
  virtual absl::Status WriteSysctl(const Sysctl& sysctl) = 0;

  virtual absl::StatusOr<bool> LoopbackIsUp() = 0;
  virtual absl::StatusOr<ListenerFacts> FindListener(uint16_t port) = 0;
};

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_KERNEL_H_
