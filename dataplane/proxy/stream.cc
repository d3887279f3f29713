#include "dataplane/proxy/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "dataplane/os/socket.h"

#ifndef TCP_CM_INQ  // in <linux/tcp.h>, which cannot be included beside <netinet/tcp.h>
#define TCP_CM_INQ 36
#endif

namespace whence::proxy {
namespace {

// Two parts that are together no longer than this go out as one.
constexpr size_t kShort = 4096;
// Pieces that a fast stream is read in; half of what the smallest large receive buffer holds.
constexpr size_t kPiece = 256 * 1024;
// A stream that brings so much in so short a time is fast: 64 MB/s. A piece then waits 4 ms at
// most.
constexpr uint64_t kFastBytes = 512 * 1024;
constexpr std::chrono::milliseconds kFastTime{8};
// Where nobody knows how much will come, a stream has to be fast so often in a row: the last piece
// of what comes waits for kPieceTime, which a long stream does not feel and a short one would.
constexpr uint32_t kPatience = 8;
// A stream that was late has to be fast so much longer the next time. Who sends a window's worth
// and waits for an answer (HTTP/2, SSH) would otherwise be late again and again.
constexpr uint32_t kLessTrust = 8;
constexpr uint32_t kLeastTrust = 32'768;
// A read shorter than this says nothing of a stream's speed.
constexpr size_t kLongRead = 16 * 1024;
// After so long without a whole piece a stream is slow again, and gets what has come.
constexpr std::chrono::milliseconds kPieceTime{8};
// A pipe that is full of less is full of small packets: copying takes more of them at once.
constexpr size_t kLeastPipeful = 128 * 1024;
// Pipes are few. Whose receiver left one full for so long has so many pieces copied.
constexpr std::chrono::milliseconds kHoldTime{20};
constexpr uint32_t kCopies = 32;
constexpr uint32_t kForGood = UINT32_MAX;

// splice(2) itself is refused, by the kernel or by who guards it; the socket is as it was.
bool IsNoSplice(int error) {
  return error == EINVAL || error == ENOSYS || error == EPERM || error == EACCES || error == ENOMEM;
}

}  // namespace

bool Stream::Register(loop::EventLoop& loop, loop::EventHandler& handler,
                      loop::EventLoop::Interest interest) {
  loop_ = &loop;
  handler_ = &handler;
  watches_writable_ = interest == loop::EventLoop::Interest::kBoth;
  return loop.Add(fd_.get(), handler, interest) == 0;
}

void Stream::DisableNagle() {
  os::SetNoDelay(fd_.get());
  nagle_ = Nagle::kOff;
}

void Stream::Block() {
  writable_ = false;
  if (loop_ != nullptr) WatchWritable();
}

void Stream::WatchWritable() {
  if (watches_writable_) return;
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

ssize_t Stream::Receive(std::span<char> room, std::optional<size_t>* rest) {
  if (!fast() || !pace_->tells_rest) return ::recv(fd_.get(), room.data(), room.size(), 0);
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n = ::recvmsg(fd_.get(), &message, 0);
  if (n < 0) return n;
  for (const cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr;
       at = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(at))) {
    if (at->cmsg_level != SOL_TCP || at->cmsg_type != TCP_CM_INQ) continue;
    int left = 0;
    std::memcpy(&left, CMSG_DATA(at), sizeof(left));
    *rest = static_cast<size_t>(std::max(left, 0));
  }
  return n;
}

Stream::Result Stream::Read(std::span<char> room) {
  std::optional<size_t> rest;
  const ssize_t n = Receive(room, &rest);
  if (n > 0) {
    // A short read has emptied the socket; only an end that was announced before can still be in
    // it, and no further event would tell. Less than a fast stream's piece is told of later.
    const bool emptied = rest ? *rest < pace_->low_water : static_cast<size_t>(n) < room.size();
    if (emptied) readable_ = peer_shut_ || hung_up_;
    return {Io::kMoved, static_cast<size_t>(n)};
  }
  return NothingRead(n);
}

Stream::Result Stream::NothingRead(ssize_t n) {
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

ssize_t Stream::Send(std::string_view first, std::string_view second, int flags) {
  // For one part: the kernel then copies no header and no vector, which costs more than to put two
  // short ones together.
  if (second.empty()) return ::send(fd_.get(), first.data(), first.size(), flags);
  if (first.empty()) return ::send(fd_.get(), second.data(), second.size(), flags);
  if (first.size() + second.size() <= kShort) {
    std::array<char, kShort> both;
    std::memcpy(both.data(), first.data(), first.size());
    std::memcpy(both.data() + first.size(), second.data(), second.size());
    return ::send(fd_.get(), both.data(), first.size() + second.size(), flags);
  }
  iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return ::sendmsg(fd_.get(), &message, flags);
}

Stream::Result Stream::Write(std::string_view first, std::string_view second, bool last) {
  if (nagle_ == Nagle::kOffAtNextWrite && written_) DisableNagle();
  written_ = true;
  const ssize_t n = Send(first, second, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
  if (n >= 0) {
    if (static_cast<size_t>(n) < first.size() + second.size()) Block();
    return {Io::kMoved, static_cast<size_t>(n)};
  }
  return NothingWritten();
}

Stream::Result Stream::NothingWritten() {
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

Stream::Result Stream::ReadTo(Pipe& pipe, uint64_t ahead) {
  pipe.filled_at = loop_->now();
  const ssize_t n =
      pipe.Fill(fd_.get(), static_cast<size_t>(std::min<uint64_t>(ahead, PipePool::kBytes)));
  if (n < 0 && IsNoSplice(errno)) {
    pace_->copies = kForGood;
    return {Io::kBlocked};
  }
  if (n <= 0) return NothingRead(n);
  const auto bytes = static_cast<size_t>(n);
  // Either the socket is empty or the pipe is full. What is left is told of when a piece is
  // together; but behind the stretch every byte counts.
  const size_t rest = os::UnreadBytes(fd_.get());
  if (rest < (bytes == ahead ? 1 : pace_->low_water)) {
    readable_ = peer_shut_ || hung_up_;
  } else if (bytes < std::min<uint64_t>(ahead, kLeastPipeful)) {
    pace_->copies = kForGood;
  }
  return {Io::kMoved, bytes};
}

Stream::Result Stream::WriteFrom(Pipe& pipe, bool last) {
  if (nagle_ == Nagle::kOffAtNextWrite && written_) DisableNagle();
  written_ = true;
  // Less than all need not mean that there is no room, which only a write that finds none says.
  const ssize_t n = pipe.Drain(fd_.get(), last);
  return n > 0 ? Result{Io::kMoved, static_cast<size_t>(n)} : NothingWritten();
}

void Stream::NoteDrained(SteadyTime filled_at) {
  if (pace_ == nullptr || pace_->copies == kForGood) return;
  if (loop_->now() - filled_at > kHoldTime) pace_->copies = kCopies;
}

void Stream::NotePace(size_t bytes, uint64_t ahead) {
  if (pace_ == nullptr) {
    if (!registered() || bytes < kLongRead || ahead < kFastBytes) return;
    pace_ = std::make_unique<Pace>(
        +[](void* self) { static_cast<Stream*>(self)->BeLate(); }, this,
        ahead == kUnknown ? kPatience : 1);
  }
  if (pace_->copies > 0 && pace_->copies != kForGood && bytes > 0) --pace_->copies;
  const SteadyTime now = loop_->now();
  if (!fast()) {
    if (now - pace_->since > kFastTime) {
      pace_->since = now;
      pace_->bytes = 0;
      pace_->turns = 0;
    }
    pace_->bytes += bytes;
    if (pace_->bytes < kFastBytes) return;
    pace_->since = now;
    pace_->bytes = 0;
    if (++pace_->turns < pace_->patience || ahead < kPiece) return;
    pace_->turns = 0;
    if (!pace_->tells_rest) pace_->tells_rest = os::TellRest(fd_.get()) == 0;
  }
  const size_t piece = static_cast<size_t>(std::min<uint64_t>(kPiece, ahead));
  SetLowWater(std::max<size_t>(piece, 1));
  if (fast()) loop_->ArmAfter(pace_->late, kPieceTime);
}

void Stream::BeLate() {
  // It is here; its receiver takes nothing more, so that it was not read. The next read goes on.
  if (os::UnreadBytes(fd_.get()) >= pace_->low_water) return;
  pace_->patience = std::min(pace_->patience * kLessTrust, kLeastTrust);
  EndPace();
}

void Stream::AckNow() { os::AckNow(fd_.get()); }

void Stream::SetLowWater(size_t bytes) {
  if (pace_->low_water == bytes) return;
  // Lowered, it tells of what lies there already.
  if (os::SetLowWater(fd_.get(), bytes) != 0) bytes = 1;
  pace_->low_water = bytes;
  if (bytes == 1) pace_->late.Cancel();
}

bool Stream::IsSilent() const {
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

bool Stream::IsAllSent() const { return os::UnsentBytes(fd_.get()) == 0; }

void Stream::TellWhenSent() {
  os::TellRoomWhenSent(fd_.get());
  watches_writable_ = false;  // asked for anew, it looks by the new rule
  Block();
}

void Stream::ShutdownWrite() {
  if (write_shut_) return;
  write_shut_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::Close() {
  fd_.Reset();
  pace_.reset();
}

bool Stream::Dissolve() {
  EndPace();
  pace_.reset();
  if (os::Dissolve(fd_.get()) != 0) {
    Close();
    return false;
  }
  written_ = readable_ = peer_shut_ = at_end_ = broken_ = hung_up_ = write_shut_ = false;
  writable_ = true;
  return true;
}

void Stream::Reset() {
  if (fd_) os::ResetOnClose(fd_.get());
  Close();
}

}  // namespace whence::proxy
