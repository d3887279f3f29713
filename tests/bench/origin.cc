#include "tests/bench/origin.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/http/request_head.h"
#include "dataplane/os/socket.h"
#include "tests/bench/pod.h"

namespace whence::bench {
namespace {

constexpr size_t kPiece = 256 * 1024;

constexpr char kManyFields[] =
    "Date: Sun, 29 Nov 2026 07:28:00 GMT\r\n"
    "Cache-Control: private, max-age=0, must-revalidate\r\n"
    "ETag: \"5f2c1e0b9a7d4c3e\"\r\n"
    "Last-Modified: Sat, 28 Nov 2026 21:04:11 GMT\r\n"
    "Vary: Accept-Encoding, Cookie\r\n"
    "Set-Cookie: seen=8f6a1b2c3d4e5f60; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n";

struct Connection {
  os::UniqueFd fd;
  bool http = true;
  bool streams = false;
  std::string peer;
  std::string received;
};

class Origin {
 public:
  explicit Origin(size_t body_bytes) : body_(body_bytes, 'x'), piece_(kPiece, 's') {}

  int Run();

 private:
  bool Listen(uint16_t port);
  void AcceptAll(int listener, bool http);
  // These return false when the connection is over.
  bool Serve(Connection& connection);
  bool ServeHttp(Connection& connection);
  bool ServeTcp(Connection& connection);
  bool StartStream(Connection& connection);
  bool Stream(Connection& connection);
  bool Send(const Connection& connection, std::string_view text) {
    // Small enough for any send buffer: what does not fit at once is a broken experiment.
    return send(connection.fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }

  const std::string body_;
  const std::string piece_;
  const os::UniqueFd poller_{epoll_create1(EPOLL_CLOEXEC)};
  std::array<os::UniqueFd, 2> listeners_;
  std::unordered_map<int, Connection> connections_;
};

bool Origin::Stream(Connection& connection) {
  const ssize_t n = send(connection.fd.get(), piece_.data(), piece_.size(), MSG_NOSIGNAL);
  return n >= 0 || errno == EAGAIN;
}

bool Origin::StartStream(Connection& connection) {
  connection.streams = true;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.fd = connection.fd.get();
  epoll_ctl(poller_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
  return true;
}

bool Origin::ServeHttp(Connection& connection) {
  for (;;) {
    http::HeadStorage storage;
    http::RequestHead head;
    const auto result = http::ParseRequestHead(connection.received, {}, storage, &head);
    if (result.status == http::ParseStatus::kNeedMore) return true;
    if (!result.done()) return false;
    if (head.target == "/stream") {
      return Send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n") &&
             StartStream(connection);
    }
    const bool keep_alive = head.keep_alive && !head.target.ends_with("/close");
    const char* const more = head.target.starts_with("/many") ? kManyFields : "";
    connection.received.erase(0, head.head_bytes);
    const std::string answer =
        absl::StrCat("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n", more,
                     "X-Peer: ", connection.peer, keep_alive ? "" : "\r\nConnection: close",
                     "\r\nContent-Length: ", body_.size(), "\r\n\r\n", body_);
    if (!Send(connection, answer) || !keep_alive) return false;
  }
}

bool Origin::ServeTcp(Connection& connection) {
  if (connection.received[0] == 'S') return StartStream(connection);
  if (connection.received.back() != '\n') return true;
  Send(connection, connection.received);
  return false;
}

bool Origin::Serve(Connection& connection) {
  if (connection.streams) return Stream(connection);
  std::array<char, 16384> bytes;
  const ssize_t size = recv(connection.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0 && errno == EAGAIN) return true;
  if (size <= 0) return false;
  connection.received.append(bytes.data(), static_cast<size_t>(size));
  return connection.http ? ServeHttp(connection) : ServeTcp(connection);
}

bool Origin::Listen(uint16_t port) {
  const auto address = net::SocketAddress::Parse("0.0.0.0:" + std::to_string(port));
  auto listener = os::Listen(*address, os::ListenOptions{});
  if (!listener.ok()) {
    std::fprintf(stderr, "%s\n", listener.status().ToString().c_str());
    return false;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener->get();
  epoll_ctl(poller_.get(), EPOLL_CTL_ADD, listener->get(), &event);
  listeners_[port == kHttpPort ? 0 : 1] = *std::move(listener);
  return true;
}

void Origin::AcceptAll(int listener, bool http) {
  os::Accepted accepted;
  while (os::Accept(listener, &accepted) == 0) {
    epoll_event event{};
    event.events = EPOLLIN;
    const int fd = event.data.fd = accepted.fd.get();
    epoll_ctl(poller_.get(), EPOLL_CTL_ADD, fd, &event);
    connections_[fd] = {std::move(accepted.fd), http, false, accepted.peer.ip.ToString(), ""};
  }
}

int Origin::Run() {
  if (!Listen(kHttpPort) || !Listen(kTcpPort)) return 1;
  std::array<epoll_event, 256> ready;
  for (;;) {
    const int count = epoll_wait(poller_.get(), ready.data(), ready.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<size_t>(i)].data.fd;
      if (fd == listeners_[0].get() || fd == listeners_[1].get()) {
        AcceptAll(fd, fd == listeners_[0].get());
      } else if (!Serve(connections_.at(fd))) {
        connections_.erase(fd);
      }
    }
  }
}

}  // namespace

int RunOrigin(size_t body_bytes) { return Origin(body_bytes).Run(); }

}  // namespace whence::bench
