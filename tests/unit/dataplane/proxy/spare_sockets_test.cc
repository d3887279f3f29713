#include "dataplane/proxy/spare_sockets.h"

#include "dataplane/os/socket.h"
#include "gtest/gtest.h"

namespace whence::proxy {
namespace {

using std::chrono::milliseconds;

class SpareSocketsTest : public testing::Test, public UpstreamUser {
 protected:
  void OnUpstream(Upstream&) override { FAIL() << "nothing happens on a parked socket"; }

  static Upstream::Key KeyOf(uint8_t client) {
    return {net::IpAddress::FromV4({192, 0, 2, client}),
            *net::SocketAddress::Parse("127.0.0.1:80")};
  }
  void Give(uint8_t client, uint16_t port, SteadyTime now) {
    auto upstream =
        std::make_unique<Upstream>(*loop_, os::NewTcpSocket(/*v4=*/true), KeyOf(client), *this);
    upstream->source_port = port;
    ASSERT_TRUE(upstream->Park());
    spares_.Give(std::move(upstream), now);
  }
  // Its port; 0: none.
  uint16_t Take(uint8_t client, SteadyTime now) {
    const auto taken = spares_.Take(KeyOf(client), now);
    return taken == nullptr ? uint16_t{0} : taken->source_port;
  }

  SystemClock clock_;
  const std::unique_ptr<loop::EventLoop> loop_ = *loop::EventLoop::Create(clock_);
  SpareSockets spares_{*loop_};
  const SteadyTime start_ = loop_->now();
};

TEST_F(SpareSocketsTest, TheOneThatRestedLongestIsNext) {
  Give(1, 101, start_);
  Give(1, 102, start_ + milliseconds(1));
  EXPECT_EQ(Take(1, start_), 0);
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest - milliseconds(1)), 0);
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest), 101);
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest), 0) << "the other has not rested";
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest + milliseconds(1)), 102);
  EXPECT_EQ(spares_.size(), 0u);
}

TEST_F(SpareSocketsTest, ServesOnlyTheSameClient) {
  Give(1, 101, start_);
  EXPECT_EQ(Take(2, start_ + SpareSockets::kRest), 0);
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest), 101);
}

TEST_F(SpareSocketsTest, TwoTrimsCloseWhatNobodyNeeded) {
  for (uint16_t port = 101; port <= 104; ++port) Give(1, port, start_);
  spares_.Trim();
  EXPECT_EQ(spares_.size(), 4u) << "given since the last";
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest), 101);
  Give(1, 101, start_ + SpareSockets::kRest);
  spares_.Trim();
  EXPECT_EQ(spares_.size(), 1u) << "three were there all the time";
  EXPECT_EQ(Take(1, start_ + 2 * SpareSockets::kRest), 101);
}

TEST_F(SpareSocketsTest, AreBoundedInAll) {
  for (size_t i = 0; i <= SpareSockets::kMost; ++i) Give(i % 2 == 0 ? 1 : 2, 100, start_);
  EXPECT_EQ(spares_.size(), SpareSockets::kMost);
  spares_.Clear();
  EXPECT_EQ(spares_.size(), 0u);
  EXPECT_EQ(Take(1, start_ + SpareSockets::kRest), 0);
}

}  // namespace
}  // namespace whence::proxy
