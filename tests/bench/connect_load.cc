#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/http/response_head.h"
#include "dataplane/os/socket.h"
#include "tests/bench/load.h"

namespace whence::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPatienceMs = 5000;

struct Attempt {
  os::UniqueFd fd;
  std::string received;
  bool asked = false;
  Clock::time_point began;
};

class ConnectLoad final : public Load {
 public:
  ConnectLoad(const Pod& pod, int at_a_time, Asking asking, Fields fields)
      : pod_(pod), asking_(asking), attempts_(static_cast<size_t>(at_a_time)) {
    const uint16_t port = asking == Asking::kTcp ? kTcpPort : kHttpPort;
    target_ = *net::SocketAddress::Parse(absl::StrCat(pod.address, ":", port));
    request_ = asking == Asking::kTcp
                   ? std::string("E 16 bytes back\n")
                   : SmallRequest(pod, fields, asking == Asking::kHttp ? "/keep" : "/close",
                                  "Connection: close\r\n");
  }

  absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration) override;
  std::string SeenPeer() const override { return peer_; }

 private:
  absl::Status Connect(Attempt& attempt, int poller);
  // True: this one is over.
  absl::StatusOr<bool> Continue(Attempt& attempt);
  absl::Status Check(const Attempt& attempt);

  const Pod& pod_;
  const Asking asking_;
  net::SocketAddress target_;
  std::string request_;
  std::string peer_;
  std::vector<Attempt> attempts_;
};

absl::Status ConnectLoad::Connect(Attempt& attempt, int poller) {
  attempt.began = Clock::now();
  attempt.asked = false;
  attempt.received.clear();
  attempt.fd = os::NewTcpSocket(target_.ip.is_v4());
  if (!attempt.fd) return absl::ErrnoToStatus(errno, "socket");
  const int error = os::Connect(attempt.fd.get(), target_);
  if (error != 0 && error != EINPROGRESS) return absl::ErrnoToStatus(error, "connect");
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.ptr = &attempt;
  epoll_ctl(poller, EPOLL_CTL_ADD, attempt.fd.get(), &event);
  return absl::OkStatus();
}

absl::StatusOr<bool> ConnectLoad::Continue(Attempt& attempt) {
  if (!attempt.asked) {
    if (const int error = os::TakeError(attempt.fd.get()); error != 0) {
      return absl::ErrnoToStatus(error, "connect");
    }
    attempt.asked = true;
    const ssize_t sent = send(attempt.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request_.size())) return absl::ErrnoToStatus(errno, "send");
    return false;
  }
  std::array<char, 16384> bytes;
  const ssize_t size = recv(attempt.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0 && errno == EAGAIN) return false;
  if (size < 0) return absl::ErrnoToStatus(errno, "receiving an answer");
  attempt.received.append(bytes.data(), static_cast<size_t>(size));
  if (size > 0) return false;
  if (absl::Status s = Check(attempt); !s.ok()) return s;
  return true;
}

absl::Status ConnectLoad::Check(const Attempt& attempt) {
  const std::string& text = attempt.received;
  if (asking_ == Asking::kTcp) {
    if (text == request_) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("echoed \"", text, "\""));
  }
  http::HeadStorage storage;
  http::ResponseHead head;
  const auto result = http::ParseResponseHead(text, {}, {}, storage, &head);
  if (!result.done() || head.status != 200 ||
      text.size() != head.head_bytes + head.content_length) {
    return absl::InternalError(
        absl::StrCat("answer of ", text.size(), " bytes: ", text.substr(0, 40)));
  }
  for (const auto& field : head.fields) {
    if (!EqualsIgnoreCase(field.name, "x-peer")) continue;
    if (peer_.empty() || field.value != pod_.client_address) peer_ = field.value;
    return absl::OkStatus();
  }
  return absl::InternalError("no X-Peer in an answer");
}

absl::StatusOr<LoadResult> ConnectLoad::Run(std::chrono::nanoseconds duration) {
  const Inside inside(pod_.client);
  if (!inside.ok()) return absl::UnavailableError("cannot enter the client's namespace");
  const os::UniqueFd poller(epoll_create1(EPOLL_CLOEXEC));
  LoadResult result;
  const auto start = Clock::now();
  const auto end = start + duration;
  size_t open = 0;
  for (Attempt& attempt : attempts_) {
    if (absl::Status s = Connect(attempt, poller.get()); !s.ok()) return s;
    ++open;
  }
  std::array<epoll_event, 128> ready;
  while (open > 0) {
    const int count = epoll_wait(poller.get(), ready.data(), ready.size(), kPatienceMs);
    if (count == 0) return absl::DeadlineExceededError("no answer for five seconds");
    const auto now = Clock::now();
    for (int i = 0; i < count; ++i) {
      auto& attempt = *static_cast<Attempt*>(ready[static_cast<size_t>(i)].data.ptr);
      const bool was_asked = attempt.asked;
      auto over = Continue(attempt);
      if (!over.ok()) return over.status();
      if (!was_asked) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &attempt;
        epoll_ctl(poller.get(), EPOLL_CTL_MOD, attempt.fd.get(), &event);
      }
      if (!*over) continue;
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - attempt.began);
      result.latencies.push_back(static_cast<uint32_t>(took.count()));
      ++result.units;
      attempt.fd.Reset();
      --open;
      if (now >= end) continue;
      if (absl::Status s = Connect(attempt, poller.get()); !s.ok()) return s;
      ++open;
    }
  }
  result.elapsed = Clock::now() - start;
  std::sort(result.latencies.begin(), result.latencies.end());
  return result;
}

}  // namespace

std::unique_ptr<Load> MakeConnectLoad(const Pod& pod, int at_a_time, Asking asking, Fields fields) {
  return std::make_unique<ConnectLoad>(pod, at_a_time, asking, fields);
}

}  // namespace whence::bench
