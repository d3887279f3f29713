#include "tests/lab/lab.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace whence::lab {
namespace {

constexpr char kRoot[] = "/run/whence-lab";
constexpr char kNoOwner[] = "none";

std::string DirectoryOf(const std::string& name) { return absl::StrCat(kRoot, "/", name); }

std::string OwnerFile(const std::string& name) { return DirectoryOf(name) + "/owner"; }

// Names hold no dot, so that one lab's prefix is never another's.
std::string PrefixOf(const std::string& name) { return absl::StrCat("whence.", name, "."); }

bool IsGoodName(const std::string& name) {
  return !name.empty() && name.size() <= 40 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// "pid start-time": a process id alone may have been given to another since.
std::string Signature(pid_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  // Field 22; the name in field 2 may hold blanks, so count from its closing parenthesis.
  size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return "";
  return absl::StrCat(pid, " ", stat.substr(at + 1, stat.find(' ', at + 1) - at - 1));
}

std::vector<Namespace> SpacesOf(const std::string& name) {
  std::vector<Namespace> spaces;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", error)) {
    const std::string space = entry.path().filename();
    if (space.rfind(PrefixOf(name), 0) == 0) spaces.emplace_back(space);
  }
  return spaces;
}

void RemoveAll(const std::string& name) {
  for (const Namespace& space : SpacesOf(name)) space.Remove();
  std::error_code error;
  std::filesystem::remove_all(DirectoryOf(name), error);
}

// The guardian's life: wait until nobody holds the other end of the pipe.
[[noreturn]] void Guard(int pipe, const std::string& name) {
  setsid();
  for (int fd = 0; fd < 1024; ++fd) {
    if (fd != pipe) close(fd);
  }
  // 0, 1 and 2 must be something, or the files that we open later would be them.
  for (int fd = 0; fd < 3; ++fd) (void)!open("/dev/null", O_RDWR);
  char byte = 0;
  while (read(pipe, &byte, 1) < 0 && errno == EINTR) continue;
  // A byte says that all is well, or that the lab is to stay; the end of the pipe that its owner is
  // gone.
  if (byte == 0) RemoveAll(name);
  _exit(0);
}

}  // namespace

absl::Status CanRun() {
  if (geteuid() != 0) return absl::PermissionDeniedError("network namespaces need root");
  for (const char* program : {"ip", "nft"}) {
    if (!Run({program, "-V"}).ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the program ", program, " is missing: deploy/install-packages.sh"));
    }
  }
  return absl::OkStatus();
}

Lab::Lab(std::string name) : name_(std::move(name)), directory_(DirectoryOf(name_)) {}

std::string Lab::UniqueName(const std::string& prefix) {
  static int count = 0;
  return absl::StrCat(prefix, "-", getpid(), "-", ++count);
}

Namespace Lab::Space(const std::string& host) const { return Namespace(PrefixOf(name_) + host); }

absl::StatusOr<std::unique_ptr<Lab>> Lab::Create(const std::string& name) {
  if (!IsGoodName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lab name \"", name, "\": up to 40 lower-case letters, digits and dashes are allowed"));
  }
  if (absl::Status s = CanRun(); !s.ok()) return s;
  Sweep();
  std::filesystem::create_directories(kRoot);
  std::unique_ptr<Lab> lab(new Lab(name));
  if (mkdir(lab->directory_.c_str(), 0755) != 0) {
    if (errno == EEXIST) {
      return absl::AlreadyExistsError(
          absl::StrCat("lab ", name, " is running; end it with: whence-lab down --name ", name));
    }
    return absl::ErrnoToStatus(errno, lab->directory_);
  }
  absl::Status status = WriteFile(OwnerFile(name), Signature(getpid()));
  if (status.ok()) status = lab->StartGuardian();
  if (!status.ok()) {
    RemoveAll(name);
    return status;
  }
  return lab;
}

absl::Status Lab::StartGuardian() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  guardian_ = fork();
  if (guardian_ == 0) Guard(fds[0], name_);
  const int error = errno;
  close(fds[0]);
  guard_pipe_ = fds[1];
  return guardian_ > 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, "fork");
}

absl::StatusOr<std::unique_ptr<Lab>> Lab::Open(const std::string& name) {
  if (!IsGoodName(name) || !std::filesystem::exists(DirectoryOf(name))) {
    return absl::NotFoundError(
        absl::StrCat("no lab ", name, "; start one with: whence-lab up --name ", name));
  }
  return std::unique_ptr<Lab>(new Lab(name));
}

Lab::~Lab() {
  if (guard_pipe_ < 0) return;
  RemoveAll(name_);
  (void)!write(guard_pipe_, "x", 1);
  close(guard_pipe_);
  waitpid(guardian_, nullptr, 0);
}

absl::Status Lab::Disown() {
  if (absl::Status s = WriteFile(OwnerFile(name_), kNoOwner); !s.ok()) return s;
  (void)!write(guard_pipe_, "x", 1);
  close(guard_pipe_);
  guard_pipe_ = -1;
  waitpid(guardian_, nullptr, 0);
  return absl::OkStatus();
}

std::vector<std::string> Lab::Names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot, error)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Lab::Remove(const std::string& name) {
  if (auto lab = Open(name); !lab.ok()) return lab.status();
  RemoveAll(name);
  return absl::OkStatus();
}

void Lab::Sweep() {
  for (const std::string& name : Names()) {
    const std::string owner = ReadFile(OwnerFile(name));
    // A lab that is being made has no owner file yet.
    if (owner.empty() || owner == kNoOwner) continue;
    if (Signature(std::atoi(owner.c_str())) != owner) RemoveAll(name);
  }
}

}  // namespace whence::lab
