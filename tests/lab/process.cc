#include "tests/lab/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace whence::lab {
namespace {

constexpr int kCannotStart = 127;

int ToExitCode(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// What the child is told before the fork; after it only system calls are made.
struct Launch {
  std::vector<char*> argv;
  int netns = -1;
  int in = -1;
  int out = -1;
  int err = -1;
  bool dies_with_parent = true;
};

std::vector<char*> ToArgv(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

[[noreturn]] void Become(const Launch& launch, pid_t parent) {
  if (launch.dies_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kCannotStart);  // it died before we asked
  } else {
    setsid();
  }
  if (launch.netns >= 0 && setns(launch.netns, CLONE_NEWNET) != 0) _exit(kCannotStart);
  dup2(launch.in, STDIN_FILENO);
  dup2(launch.out, STDOUT_FILENO);
  dup2(launch.err, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  execvp(launch.argv[0], launch.argv.data());
  constexpr char kMessage[] = ": cannot be started\n";
  (void)!write(STDERR_FILENO, launch.argv[0], std::strlen(launch.argv[0]));
  (void)!write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  _exit(kCannotStart);
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read;
  Fd write;
};

Pipe MakePipe() {
  int fds[2] = {-1, -1};
  (void)!pipe2(fds, O_CLOEXEC);
  return {Fd(fds[0]), Fd(fds[1])};
}

Fd OpenNetns(const std::string& path) {
  return Fd(path.empty() ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// Feeds `input` and collects both outputs until the child has closed them.
void Pump(Pipe& in, Pipe& out, Pipe& err, const std::string& input, CommandResult* result) {
  fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  size_t fed = 0;
  if (input.empty()) in.write.Close();
  std::array<pollfd, 3> polled;
  while (out.read.get() >= 0 || err.read.get() >= 0) {
    polled = {
        {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {in.write.get(), POLLOUT, 0}}};
    poll(polled.data(), polled.size(), -1);
    for (const auto& [pipe, text, index] :
         {std::tuple{&out, &result->out, 0}, std::tuple{&err, &result->err, 1}}) {
      if (polled[index].revents == 0) continue;
      char bytes[16384];
      const ssize_t size = read(pipe->read.get(), bytes, sizeof(bytes));
      if (size > 0) text->append(bytes, static_cast<size_t>(size));
      if (size <= 0) pipe->read.Close();
    }
    if (polled[2].revents == 0) continue;
    const ssize_t size = write(in.write.get(), input.data() + fed, input.size() - fed);
    if (size > 0) fed += static_cast<size_t>(size);
    if (fed == input.size() || (size < 0 && errno != EAGAIN)) in.write.Close();
  }
}

}  // namespace

CommandResult Run(const std::vector<std::string>& command, const std::string& netns,
                  const std::string& input) {
  signal(SIGPIPE, SIG_IGN);  // a child that does not read its input
  Pipe in = MakePipe();
  Pipe out = MakePipe();
  Pipe err = MakePipe();
  Fd space = OpenNetns(netns);
  CommandResult result;
  if (!netns.empty() && space.get() < 0) {
    result.exit_code = kCannotStart;
    result.err = "no network namespace " + netns;
    return result;
  }
  const Launch launch = {ToArgv(command), space.get(),     in.read.get(),
                         out.write.get(), err.write.get(), true};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(launch, parent);
  in.read.Close();
  out.write.Close();
  err.write.Close();
  Pump(in, out, err, input, &result);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  result.exit_code = ToExitCode(status);
  return result;
}

absl::Status RunOk(const std::vector<std::string>& command, const std::string& netns,
                   const std::string& input) {
  const CommandResult result = Run(command, netns, input);
  if (result.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("\"", absl::StrJoin(command, " "), "\" ended with ",
                                          result.exit_code, ": ", result.err));
}

absl::StatusOr<Process> Process::Start(const ProcessSpec& spec) {
  Fd space = OpenNetns(spec.netns);
  if (!spec.netns.empty() && space.get() < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("network namespace ", spec.netns));
  }
  Fd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Fd out(open(spec.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (out.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat("output file ", spec.output));
  Pipe started = MakePipe();  // closed by the exec
  const Launch launch = {ToArgv(spec.command), space.get(), in.get(), out.get(), out.get(),
                         !spec.detached};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) Become(launch, parent);
  started.write.Close();
  // Until then the child is not in its namespace, where whoever removes the lab looks for it.
  char byte;
  while (read(started.read.get(), &byte, 1) < 0 && errno == EINTR) continue;
  return Process(pid, spec.output, spec.detached);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::move(other.output_)),
      detached_(other.detached_),
      exit_code_(other.exit_code_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    if (!detached_) Stop();
    pid_ = std::exchange(other.pid_, -1);
    output_ = std::move(other.output_);
    detached_ = other.detached_;
    exit_code_ = other.exit_code_;
  }
  return *this;
}

Process::~Process() {
  if (!detached_) Stop();
}

std::string Process::Output() const { return ReadFile(output_); }

bool Process::IsRunning() {
  if (pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_code_ = ToExitCode(status);
    pid_ = -1;
  }
  return pid_ >= 0;
}

void Process::Signal(int signal) {
  if (IsRunning()) kill(pid_, signal);
}

std::optional<int> Process::WaitForEnd(std::chrono::milliseconds patience) {
  WaitUntil([this] { return !IsRunning(); }, patience);
  return exit_code_;
}

void Process::Stop() {
  Signal(SIGTERM);
  if (!WaitUntil([this] { return !IsRunning(); }, std::chrono::seconds(10))) Kill();
}

void Process::Kill() {
  Signal(SIGKILL);
  WaitForEnd();
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

absl::Status WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  return file ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace whence::lab
