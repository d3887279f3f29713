#include "dataplane/proxy/stream.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "dataplane/os/socket.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/unit/dataplane/proxy/wire_end.h"

namespace whence::proxy {
namespace {

constexpr size_t kWindow = 64 * 1024;
constexpr int kWindows = 1024;

// Confirms every window, as HTTP/2 and SSH do, and counts how often the stream stopped being fast.
class Receiver : public loop::EventHandler {
 public:
  Receiver(loop::EventLoop& loop, os::UniqueFd fd) : loop_(loop), stream_(std::move(fd)) {
    EXPECT_TRUE(stream_.Register(loop, *this, loop::EventLoop::Interest::kRead));
  }
  void OnEvents(uint32_t events) override {
    stream_.Note(events);
    while (stream_.readable()) {
      if (was_fast_ && !stream_.fast()) ++late;
      const auto [io, bytes] = stream_.Read(room_);
      if (io == Io::kEnd || io == Io::kBroken) return loop_.Stop();
      if (io != Io::kMoved) return;
      stream_.NotePace(bytes, Stream::kUnknown);
      was_fast_ = stream_.fast();
      total += bytes;
      unconfirmed_ += bytes;
      if (unconfirmed_ < kWindow) continue;
      unconfirmed_ -= kWindow;
      stream_.Write("k");
    }
  }

  int late = 0;
  size_t total = 0;

 private:
  loop::EventLoop& loop_;
  Stream stream_;
  std::vector<char> room_ = std::vector<char>(256 * 1024);
  size_t unconfirmed_ = 0;
  bool was_fast_ = false;
};

TEST(StreamTest, SenderThatWaitsForAnAnswerIsNotHeldUpAgainAndAgain) {
  auto listener = os::Listen(*net::SocketAddress::Parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listener.ok());
  WireEnd sender = WireEnd::ConnectTo(*os::LocalAddress(listener->get()));
  ASSERT_TRUE(sender.connected());
  os::Accepted accepted;
  ASSERT_TRUE(Await([&] { return os::Accept(listener->get(), &accepted) != EAGAIN; }));
  const SystemClock clock;
  const std::unique_ptr<loop::EventLoop> loop = std::move(loop::EventLoop::Create(clock).value());
  Receiver receiver(*loop, std::move(accepted.fd));
  std::thread sending([&] {
    const std::string window(kWindow, 'x');
    for (int i = 0; i < kWindows; ++i) {
      sender.Send(window);
      EXPECT_EQ(sender.ReadBytes(1), "k");
    }
    sender.Finish();
  });
  loop->Run();
  sending.join();
  EXPECT_EQ(receiver.total, kWindow * kWindows);
  EXPECT_LE(receiver.late, 3);
}

}  // namespace
}  // namespace whence::proxy
