#include "dataplane/proxy/stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "dataplane/os/socket.h"

namespace whence::proxy {

bool Stream::Register(loop::EventLoop& loop, loop::EventHandler& handler,
                      loop::EventLoop::Interest interest) {
  loop_ = &loop;
  handler_ = &handler;
  watches_writable_ = interest == loop::EventLoop::Interest::kBoth;
  return loop.Add(fd_.get(), handler, interest) == 0;
}

void Stream::Block() {
  writable_ = false;
  if (watches_writable_ || loop_ == nullptr) return;
  watches_writable_ = true;
  // It is registered, so that nothing can go wrong but a bug.
  loop_->WatchWritable(fd_.get(), *handler_);
}

void Stream::Note(uint32_t events) {
  if (events & (EPOLLIN | EPOLLRDHUP)) readable_ = true;
  if (events & EPOLLOUT) writable_ = true;
  if (events & EPOLLRDHUP) peer_shut_ = true;
  if (events & (EPOLLHUP | EPOLLERR)) readable_ = writable_ = hung_up_ = true;
}

Stream::Result Stream::Read(std::span<char> room) {
  const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), 0);
  if (n > 0) {
    // A short read has emptied the socket; only an end that was announced before can still be in
    // it, and no further event would tell.
    if (static_cast<size_t>(n) < room.size()) readable_ = peer_shut_ || hung_up_;
    return {Io::kMoved, static_cast<size_t>(n)};
  }
  if (n == 0) {
    readable_ = false;
    at_end_ = true;
    return {broken_ ? Io::kBroken : Io::kEnd};
  }
  if (errno == EAGAIN || errno == EINTR) {
    readable_ = errno == EINTR;
    return {Io::kBlocked};
  }
  readable_ = false;
  broken_ = true;
  return {Io::kBroken};
}

Stream::Result Stream::Write(std::string_view first, std::string_view second, bool last) {
  if (nagle_ == Nagle::kOffAtNextWrite && written_) {
    os::SetNoDelay(fd_.get());
    nagle_ = Nagle::kOff;
  }
  written_ = true;
  iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = first.empty() ? parts + 1 : parts;
  message.msg_iovlen = first.empty() || second.empty() ? 1 : 2;
  const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
  if (n >= 0) {
    if (static_cast<size_t>(n) < first.size() + second.size()) Block();
    return {Io::kMoved, static_cast<size_t>(n)};
  }
  if (errno == EAGAIN || errno == EINTR) {
    if (errno != EINTR) Block();
    return {Io::kBlocked};
  }
  writable_ = false;
  // EPIPE comes after the peer's orderly end, when what it sent is complete. Any other error means
  // that bytes of it may be lost, and that the end that a later read finds is none.
  if (errno != EPIPE) broken_ = true;
  return {Io::kBroken};
}

bool Stream::IsSilent() const {
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

void Stream::ShutdownWrite() {
  if (write_shut_) return;
  write_shut_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::Reset() {
  if (fd_) os::ResetOnClose(fd_.get());
  fd_.Reset();
}

}  // namespace whence::proxy
