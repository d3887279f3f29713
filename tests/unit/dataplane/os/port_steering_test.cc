#include "dataplane/os/port_steering.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "dataplane/os/socket.h"

namespace whence::os {
namespace {

class PortSteeringTest : public testing::TestWithParam<const char*> {
 protected:
  bool v4() const { return GetParam()[0] != '['; }

  // Two workers: sockets 0 and 1 for others, 2 and 3 for who speaks first.
  void SetUp() override {
    if (!v4() && !IsFamilySupported(false)) GTEST_SKIP() << "no IPv6";
    net::SocketAddress address = *net::SocketAddress::Parse(GetParam());
    for (UniqueFd& listener : group_) {
      auto fd = Listen(address, {.reuse_port = true});
      ASSERT_TRUE(fd.ok()) << fd.status();
      listener = *std::move(fd);
      address = *LocalAddress(listener.get());
    }
    address_ = address;
  }

  UniqueFd Connect() {
    UniqueFd fd = NewTcpSocket(v4());
    const int error = os::Connect(fd.get(), address_);
    EXPECT_TRUE(error == 0 || error == EINPROGRESS) << error;
    return fd;
  }

  // Which of the group has a connection within `milliseconds`; -1: none.
  int WhoAccepts(int milliseconds) {
    std::array<pollfd, 4> polled;
    for (size_t i = 0; i < group_.size(); ++i) polled[i] = {group_[i].get(), POLLIN, 0};
    if (poll(polled.data(), polled.size(), milliseconds) <= 0) return -1;
    for (size_t i = 0; i < group_.size(); ++i) {
      Accepted accepted;
      if (polled[i].revents != 0 && Accept(group_[i].get(), &accepted) == 0) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

  std::array<UniqueFd, 4> group_;
  net::SocketAddress address_;
};

TEST_P(PortSteeringTest, PortsHaveTheListenersThatAreTheirs) {
  const uint16_t port = address_.port;
  const struct {
    std::vector<uint16_t> speaking_first;
    bool is_second;
  } kRows[] = {{{}, false},
               {{static_cast<uint16_t>(port ^ 1)}, false},
               {{port}, true},
               {{1, 2, port, 4}, true},
               {{1, 2, 3, port}, true},
               {{1, 2, 3, 4}, false}};
  for (const auto& row : kRows) {
    ASSERT_EQ(SteerByPort(group_[0].get(), v4(), 2, row.speaking_first), 0);
    std::array<int, 4> taken{};
    for (int i = 0; i < 40; ++i) {
      const UniqueFd client = Connect();
      const int who = WhoAccepts(5'000);
      ASSERT_GE(who, 0);
      ++taken[static_cast<size_t>(who)];
    }
    EXPECT_EQ(taken[0] + taken[1], row.is_second ? 0 : 40);
    EXPECT_EQ(taken[2] + taken[3], row.is_second ? 40 : 0);
    const size_t first = row.is_second ? 2 : 0;
    EXPECT_GT(taken[first], 0) << "chance leaves none out of 40";
    EXPECT_GT(taken[first + 1], 0);
  }
}

TEST_P(PortSteeringTest, ADeferredConnectionComesWithItsFirstBytesOrASecondLater) {
  ASSERT_EQ(SteerByPort(group_[0].get(), v4(), 2, std::vector<uint16_t>{address_.port}), 0);
  for (const size_t i : {2, 3}) ASSERT_EQ(DeferAccept(group_[i].get()), 0);
  const UniqueFd speaking = Connect();
  pollfd connected{speaking.get(), POLLOUT, 0};
  ASSERT_EQ(poll(&connected, 1, 5'000), 1);
  EXPECT_EQ(WhoAccepts(50), -1) << "it has said nothing yet";
  ASSERT_EQ(send(speaking.get(), "x", 1, 0), 1);
  EXPECT_GE(WhoAccepts(5'000), 2);
  const UniqueFd silent = Connect();
  EXPECT_GE(WhoAccepts(10'000), 2);
}

INSTANTIATE_TEST_SUITE_P(Families, PortSteeringTest, testing::Values("127.0.0.1:0", "[::1]:0"),
                         [](const auto& family) { return family.index == 0 ? "Ipv4" : "Ipv6"; });

}  // namespace
}  // namespace whence::os
