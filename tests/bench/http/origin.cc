#include "tests/bench/http/origin.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_map>

#include "common/http/request_head.h"
#include "dataplane/os/socket.h"

namespace whence::bench {
namespace {

struct Connection {
  os::UniqueFd fd;
  std::string answer;
  std::string received;
};

std::string Answer(const std::string& peer, size_t body_bytes) {
  return "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nX-Peer: " + peer +
         "\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n" +
         std::string(body_bytes, 'x');
}

// False when the connection is over.
bool Serve(Connection& connection) {
  std::array<char, 16384> bytes;
  const ssize_t size = recv(connection.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0 && errno == EAGAIN) return true;
  if (size <= 0) return false;
  connection.received.append(bytes.data(), static_cast<size_t>(size));
  for (;;) {
    http::HeadStorage storage;
    http::RequestHead head;
    const auto result = http::ParseRequestHead(connection.received, {}, storage, &head);
    if (result.status == http::ParseStatus::kNeedMore) return true;
    if (!result.done()) return false;
    const bool keep_alive = head.keep_alive;
    connection.received.erase(0, head.head_bytes);
    // Small enough for any send buffer: what does not fit at once is a broken experiment.
    const ssize_t sent =
        send(connection.fd.get(), connection.answer.data(), connection.answer.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(connection.answer.size()) || !keep_alive) return false;
  }
}

}  // namespace

int RunOrigin(uint16_t port, size_t body_bytes) {
  const auto address = net::SocketAddress::Parse("0.0.0.0:" + std::to_string(port));
  auto listener = os::Listen(*address, os::ListenOptions{});
  if (!listener.ok()) {
    std::fprintf(stderr, "%s\n", listener.status().ToString().c_str());
    return 1;
  }
  const os::UniqueFd poller(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener->get();
  epoll_ctl(poller.get(), EPOLL_CTL_ADD, listener->get(), &event);

  std::unordered_map<int, Connection> connections;
  std::array<epoll_event, 256> ready;
  for (;;) {
    const int count = epoll_wait(poller.get(), ready.data(), ready.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<size_t>(i)].data.fd;
      if (fd != listener->get()) {
        if (!Serve(connections.at(fd))) connections.erase(fd);
        continue;
      }
      os::Accepted accepted;
      while (os::Accept(listener->get(), &accepted) == 0) {
        event.data.fd = accepted.fd.get();
        epoll_ctl(poller.get(), EPOLL_CTL_ADD, accepted.fd.get(), &event);
        const std::string answer = Answer(accepted.peer.ip.ToString(), body_bytes);
        connections[event.data.fd] = {std::move(accepted.fd), answer, ""};
      }
    }
  }
}

}  // namespace whence::bench
