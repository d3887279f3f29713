#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "dataplane/os/unique_fd.h"
#include "tests/bench/load.h"

namespace whence::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectPatience{2000};
constexpr int kPatienceMs = 5000;
constexpr size_t kPiece = 1 << 20;

class StreamLoad final : public Load {
 public:
  StreamLoad() : poller_(epoll_create1(EPOLL_CLOEXEC)) {}

  absl::Status Connect(const Pod& pod, int streams, Carrier carrier) {
    const bool http = carrier == Carrier::kHttp;
    const std::string request = http ? RequestFor(pod, "/stream") : "S";
    for (int i = 0; i < streams; ++i) {
      auto fd = pod.client.Connect(pod.address, http ? kHttpPort : kTcpPort, kConnectPatience);
      if (!fd.ok()) return fd.status();
      streams_.emplace_back(*fd);
      if (send(*fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        return absl::ErrnoToStatus(errno, "send");
      }
      fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = *fd;
      epoll_ctl(poller_.get(), EPOLL_CTL_ADD, *fd, &event);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration) override {
    LoadResult result;
    const auto start = Clock::now();
    std::array<epoll_event, 64> ready;
    for (auto now = start; now < start + duration; now = Clock::now()) {
      const int count = epoll_wait(poller_.get(), ready.data(), ready.size(), kPatienceMs);
      if (count == 0) return absl::DeadlineExceededError("nothing arrives for five seconds");
      for (int i = 0; i < count; ++i) {
        // MSG_TRUNC: counted and thrown away by the kernel, so that the client costs little.
        const ssize_t size =
            recv(ready[static_cast<size_t>(i)].data.fd, nullptr, kPiece, MSG_TRUNC);
        if (size == 0) return absl::UnavailableError("a stream ended");
        if (size < 0 && errno != EAGAIN) return absl::ErrnoToStatus(errno, "receiving a stream");
        if (size > 0) result.units += static_cast<uint64_t>(size);
      }
    }
    result.elapsed = Clock::now() - start;
    return result;
  }

 private:
  os::UniqueFd poller_;
  std::vector<os::UniqueFd> streams_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Load>> OpenStreamLoad(const Pod& pod, int streams, Carrier carrier) {
  auto load = std::make_unique<StreamLoad>();
  if (absl::Status s = load->Connect(pod, streams, carrier); !s.ok()) return s;
  return load;
}

}  // namespace whence::bench
