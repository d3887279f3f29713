
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/http/body_decoder.h"
#include "common/http/response_head.h"
#include "dataplane/os/unique_fd.h"
#include "tests/bench/load.h"

namespace whence::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectPatience{2000};
// An answer takes milliseconds even on a loaded machine; after this the proxy hangs.
constexpr std::chrono::seconds kAnswerPatience{5};

struct Connection {
  os::UniqueFd fd;
  std::string received;
  std::string peer;
  bool waiting = false;
  Clock::time_point asked;
};

class KeepAliveLoad final : public Load {
 public:
  // `rate`: requests per second over all connections; 0: as many as come back.
  KeepAliveLoad(const Pod& pod, Fields fields, int rate)
      : poller_(epoll_create1(EPOLL_CLOEXEC)),
        request_(SmallRequest(pod, fields, "/keep")),
        rate_(rate) {}

  absl::Status Connect(const Pod& pod, int connections);
  absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration) override;
  std::string SeenPeer() const override;

 private:
  absl::Status Ask(Connection& connection);
  // Asks what is due by now on connections that have nothing to do. Gives the time of the next.
  absl::StatusOr<Clock::time_point> AskWhatIsDue(Clock::time_point now);
  // True: an answer is complete.
  absl::StatusOr<bool> Read(Connection& connection);

  os::UniqueFd poller_;
  std::string request_;
  const int rate_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> idle_;  // only with a rate
  Clock::time_point due_;
};

absl::Status KeepAliveLoad::Connect(const Pod& pod, int connections) {
  for (int i = 0; i < connections; ++i) {
    auto fd = pod.client.Connect(pod.address, kHttpPort, kConnectPatience);
    if (!fd.ok()) return fd.status();
    auto connection = std::make_unique<Connection>();
    connection->fd = os::UniqueFd(*fd);
    fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connection.get();
    epoll_ctl(poller_.get(), EPOLL_CTL_ADD, *fd, &event);
    connections_.push_back(std::move(connection));
  }
  return absl::OkStatus();
}

absl::Status KeepAliveLoad::Ask(Connection& connection) {
  connection.asked = Clock::now();
  connection.waiting = true;
  const ssize_t sent = send(connection.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(request_.size())) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "send of a request");
}

absl::StatusOr<bool> KeepAliveLoad::Read(Connection& connection) {
  std::array<char, 65536> bytes;
  const ssize_t size = recv(connection.fd.get(), bytes.data(), bytes.size(), 0);
  if (size < 0 && errno == EAGAIN) return false;
  if (size < 0) return absl::ErrnoToStatus(errno, "receiving an answer");
  if (size == 0) return absl::UnavailableError("the proxy closed a connection");
  connection.received.append(bytes.data(), static_cast<size_t>(size));

  http::HeadStorage storage;
  http::ResponseHead head;
  const auto result = http::ParseResponseHead(connection.received, {}, {}, storage, &head);
  if (result.status == http::ParseStatus::kNeedMore) return false;
  if (!result.done()) return absl::InternalError(absl::StrCat("answer: ", ToAbsl(result.reason)));
  if (head.status != 200) return absl::InternalError(absl::StrCat("status ", head.status));
  if (connection.peer.empty()) {
    for (const auto& field : head.fields) {
      if (EqualsIgnoreCase(field.name, "x-peer")) connection.peer = field.value;
    }
  }
  http::BodyDecoder body(head.framing, head.content_length);
  std::string_view rest = std::string_view(connection.received).substr(head.head_bytes);
  for (auto step = body.Next(rest); step.bytes > 0; step = body.Next(rest)) {
    rest.remove_prefix(step.bytes);
  }
  if (body.failed()) return absl::InternalError("malformed answer body");
  if (!body.done()) return false;
  if (!rest.empty()) return absl::InternalError("bytes behind the answer");
  connection.received.clear();
  connection.waiting = false;
  return true;
}

absl::StatusOr<Clock::time_point> KeepAliveLoad::AskWhatIsDue(Clock::time_point now) {
  const std::chrono::nanoseconds interval(std::chrono::nanoseconds(std::chrono::seconds(1)) /
                                          rate_);
  // A proxy that is too slow for the rate shows in the count, not in a burst afterwards.
  due_ = std::max(due_, now - 64 * interval);
  for (; due_ <= now && !idle_.empty(); due_ += interval) {
    Connection& connection = *idle_.front();
    idle_.pop_front();
    if (absl::Status s = Ask(connection); !s.ok()) return s;
  }
  return due_;
}

absl::StatusOr<LoadResult> KeepAliveLoad::Run(std::chrono::nanoseconds duration) {
  LoadResult result;
  const auto start = Clock::now();
  const auto end = start + duration;
  idle_.clear();
  due_ = start;
  for (auto& connection : connections_) {
    if (connection->waiting) continue;
    if (rate_ > 0) {
      idle_.push_back(connection.get());
    } else if (absl::Status s = Ask(*connection); !s.ok()) {
      return s;
    }
  }
  std::array<epoll_event, 128> ready;
  auto now = start;
  while (now < end) {
    timespec wait{kAnswerPatience.count(), 0};
    if (rate_ > 0) {
      auto next = AskWhatIsDue(now);
      if (!next.ok()) return next.status();
      if (!idle_.empty()) wait = {0, std::max<long>((*next - Clock::now()).count(), 0)};
    }
    const int count = epoll_pwait2(poller_.get(), ready.data(), ready.size(), &wait, nullptr);
    if (count == 0 && wait.tv_sec > 0) {
      return absl::DeadlineExceededError("no answer for five seconds");
    }
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(ready[static_cast<size_t>(i)].data.ptr);
      auto complete = Read(connection);
      if (!complete.ok()) return complete.status();
      if (!*complete) continue;
      now = Clock::now();
      const auto took =
          std::chrono::duration_cast<std::chrono::microseconds>(now - connection.asked);
      result.latencies.push_back(static_cast<uint32_t>(took.count()));
      ++result.units;
      if (rate_ > 0) {
        idle_.push_back(&connection);
      } else if (absl::Status s = Ask(connection); !s.ok()) {
        return s;
      }
    }
    now = Clock::now();
  }
  result.elapsed = now - start;
  std::sort(result.latencies.begin(), result.latencies.end());
  return result;
}

std::string KeepAliveLoad::SeenPeer() const {
  // Every one of them: a proxy may confuse two clients' connections.
  std::string seen;
  for (const auto& connection : connections_) {
    if (connection->peer.empty()) continue;
    if (!seen.empty() && seen != connection->peer) return seen + " and " + connection->peer;
    seen = connection->peer;
  }
  return seen;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Load>> OpenKeepAliveLoad(const Pod& pod, int connections,
                                                        Fields fields, int rate) {
  auto load = std::make_unique<KeepAliveLoad>(pod, fields, rate);
  if (absl::Status s = load->Connect(pod, connections); !s.ok()) return s;
  return load;
}

}  // namespace whence::bench
