#include "tests/stress/application.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <unordered_map>

#include "dataplane/intercept/netns.h"
#include "dataplane/os/socket.h"

namespace whence::stress {
namespace {

void Watch(int poller, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

Application::Application(const std::string& netns)
    : poller_(epoll_create1(EPOLL_CLOEXEC)), stop_(eventfd(0, EFD_CLOEXEC)) {
  const auto inside = intercept::ScopedNetns::Enter(netns);
  if (!inside.ok()) return;
  auto listener = os::Listen({net::IpAddress::FromV4(0), kAppPort}, {.backlog = 4096});
  if (!listener.ok()) return;
  listener_ = *std::move(listener);
  Watch(poller_.get(), listener_.get());
  Watch(poller_.get(), stop_.get());
  thread_ = std::thread([this] { Run(); });
}

Application::~Application() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Application::Accept() {
  os::Accepted accepted;
  while (os::Accept(listener_.get(), &accepted) == 0) Watch(poller_.get(), accepted.fd.Release());
}

bool Application::Serve(int fd) {
  char asked = 0;
  const ssize_t got = read(fd, &asked, 1);
  if (got < 0 && errno == EAGAIN) return true;
  const auto peer = os::PeerAddress(fd);
  if (got != 1 || !peer) return false;
  const std::string line = peer->ToString() + "\n";
  const bool sent = send(fd, line.data(), line.size(), MSG_NOSIGNAL) == ssize_t(line.size());
  return sent && asked == kAskAndStay;
}

void Application::Run() {
  std::array<epoll_event, 256> events;
  while (true) {
    const int count = epoll_wait(poller_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == stop_.get()) return;  // what is still open ends with the process
      if (fd == listener_.get()) {
        Accept();
      } else if (!Serve(fd)) {
        close(fd);
      }
    }
  }
}

}  // namespace whence::stress
