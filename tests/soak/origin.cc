#include "tests/soak/origin.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <charconv>
#include <memory>
#include <string>
#include <unordered_map>

namespace whence::soak {
namespace {

constexpr std::string_view kLength = "content-length: ";

// Length of the request in front of `received`, 0: not complete. `answer` gets its response.
size_t Answer(std::string_view received, std::string* answer) {
  const size_t head = received.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  size_t body = 0;
  const std::string_view fields = received.substr(0, head);
  if (const size_t at = fields.find(kLength); at != std::string_view::npos) {
    std::from_chars(fields.data() + at + kLength.size(), fields.data() + fields.size(), body);
  }
  if (received.size() < head + 4 + body) return 0;
  const size_t target = received.find(' ') + 1;
  const std::string text =
      std::string(received.substr(target, received.find(' ', target) - target)) + " " +
      std::to_string(body);
  *answer +=
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  return head + 4 + body;
}

struct Connection {
  os::UniqueFd fd;
  std::string received;
};

// False: it is over.
bool Serve(Connection& connection) {
  char buffer[65536];
  std::string answer;
  while (true) {
    const ssize_t n = recv(connection.fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN;
    connection.received.append(buffer, static_cast<size_t>(n));
    answer.clear();
    while (const size_t size = Answer(connection.received, &answer)) {
      connection.received.erase(0, size);
    }
    // Short answers: they fit the socket.
    if (!answer.empty() && send(connection.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL) !=
                               static_cast<ssize_t>(answer.size())) {
      return false;
    }
  }
}

}  // namespace

Origin::Origin()
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), generic, size) == 0 && listen(listener_.get(), 1024) == 0 &&
      getsockname(listener_.get(), generic, &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
  thread_ = std::thread([this] { Run(); });
}

Origin::~Origin() {
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Origin::Run() {
  const os::UniqueFd poller(epoll_create1(EPOLL_CLOEXEC));
  const auto watch = [&](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(poller.get(), EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener_.get());
  watch(stop_.get());
  std::unordered_map<int, Connection> connections;
  epoll_event events[64];
  while (true) {
    const int n = epoll_wait(poller.get(), events, 64, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_.get()) return;
      if (fd == listener_.get()) {
        const int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (accepted < 0) continue;
        const int on = 1;
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        connections[accepted] = {os::UniqueFd(accepted), ""};
        watch(accepted);
      } else if (const auto at = connections.find(fd);
                 at != connections.end() && !Serve(at->second)) {
        connections.erase(at);
      }
    }
  }
}

}  // namespace whence::soak
