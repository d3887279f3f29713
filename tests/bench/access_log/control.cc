#include "tests/bench/access_log/control.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace whence::bench {

Control::Control(const std::string& where) {
  std::string pattern = (where.empty() ? std::filesystem::temp_directory_path().string() : where) +
                        "/whence-log-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) return;
  directory_ = pattern;
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "whence-control").string();
  const std::vector<std::string> arguments = {program,    "--data-dir",      directory_ + "/data",
                                              "--listen", target(),          "--http",
                                              "none",     "--log-retention", "3650d"};
  int ready[2];
  if (pipe(ready) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ready[1], STDOUT_FILENO);
    close(ready[0]);
    close(ready[1]);
    std::vector<char*> raw;
    for (const std::string& argument : arguments)
      raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    execv(program.c_str(), raw.data());
    _exit(127);
  }
  close(ready[1]);
  char line[512];
  const ssize_t n = read(ready[0], line, sizeof line);  // "… ready: …", or the end
  close(ready[0]);
  if (n > 0) return;
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Control::~Control() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

double Control::CpuSeconds() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream rest(text.substr(text.rfind(')') + 2));  // fields from the third on
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

uint64_t Control::ResidentBytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace whence::bench
