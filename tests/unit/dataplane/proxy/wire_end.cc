#include "tests/unit/dataplane/proxy/wire_end.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "common/base/strings.h"
#include "dataplane/os/socket.h"
#include "dataplane/os/socket_address.h"
#include "gtest/gtest.h"

namespace whence::proxy {
namespace {

size_t BodyLength(const std::string& head) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), ToLowerAscii);
  const size_t at = lower.find("\r\ncontent-length: ");
  if (at == std::string::npos) return 0;
  size_t length = 0;
  std::from_chars(lower.data() + at + 18, lower.data() + lower.size(), length);
  return length;
}

bool IsChunked(const std::string& head) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), ToLowerAscii);
  return lower.find("\r\ntransfer-encoding: chunked") != std::string::npos;
}

}  // namespace

WireEnd::WireEnd(os::UniqueFd fd) : fd_(std::move(fd)) {
  const timeval limit{10, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

WireEnd WireEnd::ConnectTo(const net::SocketAddress& address, int receive_buffer,
                           uint16_t local_port) {
  os::UniqueFd fd(::socket(os::Family(address.ip), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  if (local_port != 0) {
    os::SetReuseAddress(fd.get());
    const net::IpAddress any = address.ip.is_v4() ? net::IpAddress::FromV4(0) : net::IpAddress();
    if (os::Bind(fd.get(), {any, local_port}) != 0) return WireEnd();
  }
  const os::RawAddress raw = os::ToRaw(address);
  const timeval limit{10, 0};  // also of connect
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(fd.get(), &raw.generic, raw.size) != 0) return WireEnd();
  return WireEnd(std::move(fd));
}

void WireEnd::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) {
      // The other side is gone: what it answered tells. A reset is reported once, to whom comes
      // first.
      if (errno == ECONNRESET) reset_ = true;
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void WireEnd::Finish() { ::shutdown(fd_.get(), SHUT_WR); }

void WireEnd::Reset() {
  os::ResetOnClose(fd_.get());
  fd_.Reset();
}

bool WireEnd::Fill() {
  char buffer[65536];
  const ssize_t n = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
  if (n > 0) {
    pending_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  if (n < 0 && errno == ECONNRESET) reset_ = true;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    ADD_FAILURE() << "nothing came for ten seconds; so far: " << pending_.substr(0, 200);
  }
  return false;
}

std::string WireEnd::ReadThrough(std::string_view mark) {
  size_t at;
  while ((at = pending_.find(mark)) == std::string::npos) {
    if (!Fill()) return std::exchange(pending_, {});
  }
  const size_t size = at + mark.size();
  std::string read = pending_.substr(0, size);
  pending_.erase(0, size);
  return read;
}

std::string WireEnd::ReadBytes(size_t count) {
  while (pending_.size() < count) {
    if (!Fill()) return std::exchange(pending_, {});
  }
  std::string read = pending_.substr(0, count);
  pending_.erase(0, count);
  return read;
}

std::string WireEnd::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(pending_, {});
}

std::string WireEnd::ReadResponse() {
  const std::string head = ReadThrough("\r\n\r\n");
  if (IsChunked(head)) return head + ReadThrough("0\r\n\r\n");
  return head + ReadBytes(BodyLength(head));
}

bool WireEnd::SeesReset() {
  const bool more = Fill();
  return !more && reset_;
}

bool WireEnd::SeesEnd() {
  const bool more = Fill();
  return !more && !reset_;
}

net::SocketAddress WireEnd::local() const { return *os::LocalAddress(fd_.get()); }
net::SocketAddress WireEnd::peer() const { return *os::PeerAddress(fd_.get()); }

Origin::Origin(Serve serve, std::string_view address) : serve_(std::move(serve)) {
  auto listener = os::Listen(*net::SocketAddress::Parse(address), {.reuse_port = false});
  if (!listener.ok()) ADD_FAILURE() << listener.status();
  listener_ = *std::move(listener);
  address_ = *os::LocalAddress(listener_.get());
  thread_ = std::thread([this] { Run(); });
}

Origin::~Origin() {
  stop_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);  // wakes the poll
  thread_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void Origin::Run() {
  while (!stop_) {
    pollfd ready{listener_.get(), POLLIN, 0};
    ::poll(&ready, 1, -1);
    os::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    ++connections_;
    {
      const std::lock_guard lock(mutex_);
      open_.push_back(fd.get());
    }
    threads_.emplace_back([this, raw = fd.Release()] {
      WireEnd end{os::UniqueFd(raw)};
      serve_(end);
      const std::lock_guard lock(mutex_);
      open_.erase(std::find(open_.begin(), open_.end(), raw));
      end.Close();
    });
  }
}

Origin::Serve HttpOrigin(
    std::function<std::string(const std::string& head, const std::string& body)> response) {
  return [response](WireEnd& end) {
    while (true) {
      const std::string head = end.ReadThrough("\r\n\r\n");
      if (head.find("\r\n\r\n") == std::string::npos) return;
      const std::string body =
          IsChunked(head) ? end.ReadThrough("0\r\n\r\n") : end.ReadBytes(BodyLength(head));
      end.Send(response(head, body));
    }
  };
}

std::string Ok(std::string_view body, std::string_view fields) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" +
         std::string(fields) + "\r\n" + std::string(body);
}

}  // namespace whence::proxy
