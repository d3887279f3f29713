#include "tests/bench/cpu.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/lab/process.h"

namespace whence::bench {
namespace {

// The first number of a schedstat file is time on a CPU.
uint64_t OnCpu(const std::string& schedstat) {
  return std::strtoull(lab::ReadFile(schedstat).c_str(), nullptr, 10);
}

std::vector<pid_t> ChildrenOf(const std::string& task) {
  std::istringstream text(lab::ReadFile(task + "/children"));
  std::vector<pid_t> children;
  for (pid_t child; text >> child;) children.push_back(child);
  return children;
}

}  // namespace

uint64_t ProcessCpu(pid_t pid) {
  uint64_t sum = 0;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), error)) {
    sum += OnCpu(task.path().string() + "/schedstat");
    for (const pid_t child : ChildrenOf(task.path())) sum += ProcessCpu(child);
  }
  return sum;
}

uint64_t KsoftirqdCpu(int core) {
  const std::string name = absl::StrCat("ksoftirqd/", core, "\n");
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    if (std::atoi(entry.path().filename().c_str()) == 0) continue;
    if (lab::ReadFile(entry.path().string() + "/comm") == name) {
      return OnCpu(entry.path().string() + "/schedstat");
    }
  }
  return 0;
}

uint64_t ResidentKib(pid_t pid) {
  std::istringstream status(lab::ReadFile(absl::StrCat("/proc/", pid, "/status")));
  uint64_t sum = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) sum = std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  for (const pid_t child : ChildrenOf(absl::StrCat("/proc/", pid, "/task/", pid))) {
    sum += ResidentKib(child);
  }
  return sum;
}

bool PinToCore(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

void RaiseFileLimit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int CoreCount() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }

}  // namespace whence::bench
