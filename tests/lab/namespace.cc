#include "tests/lab/namespace.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace whence::lab {
namespace {

// The calling thread is in the namespace while this lives.
class Visit {
 public:
  explicit Visit(const std::string& path)
      : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const int target = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    error_ = target < 0 || setns(target, CLONE_NEWNET) != 0 ? errno : 0;
    if (target >= 0) close(target);
  }
  ~Visit() {
    (void)!setns(home_, CLONE_NEWNET);
    close(home_);
  }
  Visit(const Visit&) = delete;
  int error() const { return error_; }

 private:
  const int home_;
  int error_;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Empty text: the unspecified address of `family`.
Address ToAddress(const std::string& text, uint16_t port, int family) {
  Address out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (family == AF_INET) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    if (!text.empty()) inet_pton(AF_INET, text.c_str(), &v4->sin_addr);
    out.size = sizeof(*v4);
  } else {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    if (!text.empty()) inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
    out.size = sizeof(*v6);
  }
  return out;
}

int FamilyOf(const std::string& address) {
  return address.find(':') == std::string::npos ? AF_INET : AF_INET6;
}

// 0, or the errno of a connect that failed or took too long.
int ConnectWithin(int fd, const Address& target, std::chrono::milliseconds patience) {
  if (connect(fd, target.get(), target.size) != 0 && errno != EINPROGRESS) return errno;
  pollfd polled{fd, POLLOUT, 0};
  if (poll(&polled, 1, static_cast<int>(patience.count())) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

std::vector<pid_t> ProcessesIn(const std::string& path) {
  std::vector<pid_t> found;
  struct stat wanted {};
  if (stat(path.c_str(), &wanted) != 0) return found;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    struct stat actual {};
    if (pid <= 0 || pid == getpid()) continue;
    if (stat(absl::StrCat("/proc/", pid, "/ns/net").c_str(), &actual) == 0 &&
        actual.st_ino == wanted.st_ino && actual.st_dev == wanted.st_dev) {
      found.push_back(pid);
    }
  }
  if (proc != nullptr) closedir(proc);
  return found;
}

}  // namespace

absl::Status Namespace::Create(bool forwards) const {
  if (absl::Status s = RunOk({"ip", "netns", "add", name_}); !s.ok()) return s;
  const char* forwarding = forwards ? "1" : "0";
  for (const auto& [name, value] : {std::pair{"net.ipv6.conf.all.accept_dad", "0"},
                                    std::pair{"net.ipv6.conf.default.accept_dad", "0"},
                                    std::pair{"net.ipv4.conf.all.rp_filter", "0"},
                                    std::pair{"net.ipv4.conf.default.rp_filter", "0"},
                                    std::pair{"net.ipv4.ip_forward", forwarding},
                                    std::pair{"net.ipv6.conf.all.forwarding", forwarding}}) {
    if (absl::Status s = Sysctl(name, value); !s.ok()) return s;
  }
  return Ip("link set lo up\n");
}

bool Namespace::Exists() const { return access(path().c_str(), F_OK) == 0; }

absl::Status Namespace::Ip(const std::string& batch) const {
  return RunOk({"ip", "-n", name_, "-batch", "-"}, "", batch);
}

absl::Status Namespace::Nft(const std::string& text) const {
  return RunOk({"nft", "-f", "-"}, path(), text);
}

absl::Status Namespace::Sysctl(const std::string& name, const std::string& value) const {
  const Visit visit(path());
  if (visit.error() != 0) return absl::ErrnoToStatus(visit.error(), path());
  return WriteFile("/proc/sys/" + absl::StrReplaceAll(name, {{".", "/"}}), value);
}

absl::StatusOr<int> Namespace::Connect(const std::string& address, uint16_t port,
                                       std::chrono::milliseconds patience,
                                       uint16_t local_port) const {
  const std::string what = absl::StrCat("connect from ", name_, " to ", address, " port ", port);
  const int family = FamilyOf(address);
  int fd = -1;
  {
    // A socket belongs for life to the namespace it was made in.
    const Visit visit(path());
    if (visit.error() != 0) return absl::ErrnoToStatus(visit.error(), what);
    fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  }
  if (fd < 0) return absl::ErrnoToStatus(errno, what);
  int error = 0;
  if (local_port != 0) {
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const Address local = ToAddress("", local_port, family);
    if (bind(fd, local.get(), local.size) != 0) error = errno;
  }
  if (error == 0) error = ConnectWithin(fd, ToAddress(address, port, family), patience);
  if (error != 0) {
    close(fd);
    return absl::ErrnoToStatus(error, what);
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

absl::StatusOr<int> Namespace::Listen(const std::string& address, uint16_t port) const {
  const std::string what = absl::StrCat("listen in ", name_, " on ", address, " port ", port);
  const Visit visit(path());
  if (visit.error() != 0) return absl::ErrnoToStatus(visit.error(), what);
  const int fd = socket(FamilyOf(address), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, what);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // accept() gives up as well: a test that waits for ever says nothing.
  const timeval limit = {kPatience.count() / 1000, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const Address local = ToAddress(address, port, FamilyOf(address));
  if (bind(fd, local.get(), local.size) != 0 || listen(fd, 128) != 0) {
    const int error = errno;
    close(fd);
    return absl::ErrnoToStatus(error, what);
  }
  return fd;
}

void Namespace::Remove() const {
  // More than one pass: a process may fork while we look.
  for (auto pids = ProcessesIn(path()); !pids.empty(); pids = ProcessesIn(path())) {
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    if (!WaitUntil([&] { return ProcessesIn(path()).empty(); }, std::chrono::seconds(5))) break;
  }
  (void)RunOk({"ip", "netns", "del", name_});
}

absl::Status ConnectByVeth(const Namespace& a, const std::string& name_in_a, const Namespace& b,
                           const std::string& name_in_b) {
  return RunOk({"ip", "link", "add", name_in_a, "netns", a.name(), "type", "veth", "peer", "name",
                name_in_b, "netns", b.name()});
}

}  // namespace whence::lab
