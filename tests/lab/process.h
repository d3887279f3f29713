// Programs that the lab runs, in a namespace or outside.
#ifndef WHENCE_TESTS_LAB_PROCESS_H_
#define WHENCE_TESTS_LAB_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/lab/wait.h"

namespace whence::lab {

struct CommandResult {
  int exit_code = -1;  // 128 + signal when it was ended by one
  std::string out;     // stdout
  std::string err;     // stderr
  bool ok() const { return exit_code == 0; }
};

// Runs a program to its end. `netns`: path of a network namespace, empty for this one. `input`
// becomes its stdin. A program that cannot be started gives 127, as in a shell.
CommandResult Run(const std::vector<std::string>& command, const std::string& netns = "",
                  const std::string& input = "");

// The same as a status, with the command and what it said on stderr.
absl::Status RunOk(const std::vector<std::string>& command, const std::string& netns = "",
                   const std::string& input = "");

struct ProcessSpec {
  std::vector<std::string> command;
  std::string netns;   // path; empty: this one
  std::string output;  // stdout and stderr are appended to this file
  // Goes on when the lab's process ends. Otherwise it is killed with it, however that ends.
  bool detached = false;
};

// A running program. Owns it: ended (SIGTERM, then SIGKILL) and reaped on destruction unless
// detached.
class Process {
 public:
  static absl::StatusOr<Process> Start(const ProcessSpec& spec);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  std::string Output() const;

  bool IsRunning();
  void Signal(int signal);
  // The exit code as in CommandResult, or nothing if it is still running.
  std::optional<int> WaitForEnd(std::chrono::milliseconds patience = kPatience);
  // SIGTERM, then SIGKILL if that does not end it in time.
  void Stop();
  // SIGKILL, and reaped.
  void Kill();

 private:
  Process(pid_t pid, std::string output, bool detached)
      : pid_(pid), output_(std::move(output)), detached_(detached) {}

  pid_t pid_ = -1;  // -1: ended and reaped, or moved from
  std::string output_;
  bool detached_ = false;
  std::optional<int> exit_code_;
};

std::string ReadFile(const std::string& path);
absl::Status WriteFile(const std::string& path, const std::string& content);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_PROCESS_H_
