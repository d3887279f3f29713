// The control plane under load: the real program, in a directory of its own, watched from outside.
#ifndef WHENCE_TESTS_BENCH_AGENTS_CONTROL_H_
#define WHENCE_TESTS_BENCH_AGENTS_CONTROL_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "whence/v1/admin.grpc.pb.h"

namespace whence::bench {

// Exits the program with a message when the control plane does not do what it must. Thread-compatible.
class Control {
 public:
  // `program`: path of whence-control; `flags`: besides those that every run has.
  Control(std::string program, std::vector<std::string> flags);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control();

  const std::string& address() const { return address_; }

  // The revision. Each text is one file of documents.
  uint64_t Apply(const std::vector<std::string>& files);
  // How many connected agents acknowledge `revision`, and how many there are.
  struct Agents {
    size_t acknowledged = 0;
    size_t connected = 0;
  };
  Agents Count(uint64_t revision);

  // SIGKILL, and a new process on the same port and directory.
  void KillAndRestart();

  // A sample without labels of /metrics.
  double Metric(const std::string& name) const;
  double RssKib() const;
  double CpuSeconds() const;

 private:
  void Start(const std::string& listen);

  const std::string program_;
  const std::vector<std::string> flags_;
  std::string directory_;
  std::string address_;
  uint16_t http_port_ = 0;
  pid_t pid_ = 0;
  std::unique_ptr<v1::ConfigService::Stub> config_;
  std::unique_ptr<v1::AgentService::Stub> agents_;
};

[[noreturn]] void Fail(const std::string& what);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_AGENTS_CONTROL_H_
