#include "tests/stress/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "dataplane/os/socket.h"
#include "dataplane/os/socket_address.h"

namespace whence::stress {
namespace {

Answer::Kind Failure(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return Answer::Kind::kRefused;
    case EAGAIN:
    case EINPROGRESS:
    case ETIMEDOUT:
      return Answer::Kind::kHung;
    default:
      return Answer::Kind::kOdd;
  }
}

}  // namespace

Answer Ask(const net::SocketAddress& target, char what, uint16_t local_port,
           std::chrono::milliseconds patience) {
  Answer answer;
  os::UniqueFd fd(socket(os::Family(target.ip), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (local_port != 0) {
    os::SetReuseAddress(fd.get());
    if (os::Bind(fd.get(), {net::IpAddress::FromV4(0), local_port}) != 0) {
      answer.kind = Answer::Kind::kNoPort;
      return answer;
    }
  }
  const timeval limit{patience.count() / 1000,
                      static_cast<suseconds_t>(patience.count() % 1000 * 1000)};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // also of connect
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const int error = os::Connect(fd.get(), target);
  if (error == EADDRNOTAVAIL) {
    answer.kind = Answer::Kind::kNoPort;
    return answer;
  }
  if (error != 0 || send(fd.get(), &what, 1, MSG_NOSIGNAL) != 1) {
    answer.kind = Failure(error != 0 ? error : errno);
    return answer;
  }
  std::string line;
  char piece[64];
  while (line.find('\n') == std::string::npos) {
    const ssize_t got = recv(fd.get(), piece, sizeof(piece), 0);
    if (got <= 0) {
      answer.kind = got == 0 ? Answer::Kind::kOdd : Failure(errno);
      return answer;
    }
    line.append(piece, static_cast<size_t>(got));
  }
  const auto seen = net::SocketAddress::Parse(line.substr(0, line.find('\n')));
  if (!seen) return answer;
  // So that its port is free again at once: what ends in order leaves behind is not asked for here.
  os::ResetOnClose(fd.get());
  answer.kind = Answer::Kind::kServed;
  answer.seen = *seen;
  answer.fd = std::move(fd);
  return answer;
}

}  // namespace whence::stress
