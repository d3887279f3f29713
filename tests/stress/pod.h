// A pod with a real sidecar in a network namespace, and a client's host beside it.
#ifndef WHENCE_TESTS_STRESS_POD_H_
#define WHENCE_TESTS_STRESS_POD_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/socket_address.h"
#include "tests/lab/lab.h"
#include "tests/lab/process.h"
#include "tests/stress/application.h"

namespace whence::stress {

class Pod {
 public:
  // REQUIRES: a single-threaded process.
  static absl::StatusOr<std::unique_ptr<Pod>> Start(const std::string& source_ports);

  net::SocketAddress application() const;
  net::IpAddress client() const;
  net::IpAddress address() const { return application().ip; }
  std::string client_netns() const { return lab_->Space("client").path(); }

  // From now on the agent uses its own address where the client's cannot be had.
  absl::Status AllowFallback();
  // Of the agent's metrics page; 0 if it is not there.
  double Metric(const std::string& name) const;
  // How often the packet rules refused an opening packet for its port: of the client's, and of the
  // agent's.
  uint64_t RefusedByRule() const;
  uint64_t RefusedToAgent() const;
  // How many half-open connections another opening packet ended, by the kernel's count.
  uint64_t HalfOpenEnded() const;
  uint64_t AgentRssKib() const;

 private:
  uint64_t CountedIn(const std::string& chain) const;
  explicit Pod(std::unique_ptr<lab::Lab> lab) : lab_(std::move(lab)) {}
  absl::Status Build();
  absl::Status StartAgent(const std::string& source_ports);
  std::string documents() const { return lab_->directory() + "/documents"; }

  std::unique_ptr<lab::Lab> lab_;
  std::unique_ptr<Application> application_;
  std::optional<lab::Process> agent_;
};

}  // namespace whence::stress

#endif  // WHENCE_TESTS_STRESS_POD_H_
