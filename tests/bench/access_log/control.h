// A whence-control of our own, as a process, and what it costs.
#ifndef WHENCE_TESTS_BENCH_ACCESS_LOG_CONTROL_H_
#define WHENCE_TESTS_BENCH_ACCESS_LOG_CONTROL_H_

#include <sys/types.h>

#include <string>

namespace whence::bench {

// Killed when it goes out of scope; its directory is removed.
class Control {
 public:
  // The program beside this one. `where`: for its data; "" for the temporary directory.
  explicit Control(const std::string& where);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  bool ready() const { return pid_ > 0; }
  std::string target() const { return "unix:" + directory_ + "/grpc"; }
  std::string database() const { return directory_ + "/data/logs.db"; }
  double CpuSeconds() const;
  uint64_t ResidentBytes() const;

 private:
  std::string directory_;
  pid_t pid_ = -1;
};

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_ACCESS_LOG_CONTROL_H_
