#include "dataplane/os/socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "dataplane/os/errno_status.h"
#include "dataplane/os/socket_address.h"
#include "gtest/gtest.h"

namespace whence::os {
namespace {

net::SocketAddress Address(std::string_view text) { return *net::SocketAddress::Parse(text); }

TEST(SocketAddressTest, KeepsFamilyAndUnwrapsMapped) {
  for (const char* text : {"127.0.0.1:80", "[2001:db8::1]:443"}) {
    const net::SocketAddress address = Address(text);
    EXPECT_EQ(FromRaw(ToRaw(address)), address);
  }
  EXPECT_EQ(ToRaw(Address("127.0.0.1:80")).generic.sa_family, AF_INET);
  EXPECT_EQ(ToRaw(Address("[::1]:80")).generic.sa_family, AF_INET6);

  RawAddress mapped = ToRaw(Address("[::1]:80"));
  const uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4};
  std::copy(std::begin(bytes), std::end(bytes), mapped.v6.sin6_addr.s6_addr);
  EXPECT_EQ(FromRaw(mapped), Address("1.2.3.4:80"));
}

TEST(ErrnoStatusTest, NamesPurposeCallAndCapability) {
  EXPECT_EQ(ErrnoStatus(EADDRINUSE, "bind", "listen on 1.2.3.4:80").message(),
            "cannot listen on 1.2.3.4:80: bind: Address already in use");
  EXPECT_EQ(ErrnoStatus(EPERM, "setsockopt SO_MARK", "connect", "CAP_NET_RAW").message(),
            "cannot connect: setsockopt SO_MARK: Operation not permitted (needs CAP_NET_RAW)");
}

class SocketTest : public testing::TestWithParam<const char*> {};

TEST_P(SocketTest, ConnectionShowsBothEnds) {
  auto listener = Listen(Address(GetParam()), {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const net::SocketAddress at = *LocalAddress(listener->get());

  UniqueFd client = NewTcpSocket(at.ip.is_v4());
  const int connected = Connect(client.get(), at);
  ASSERT_TRUE(connected == 0 || connected == EINPROGRESS) << connected;
  Accepted accepted;
  ASSERT_EQ(Accept(listener->get(), &accepted), 0);  // over loopback the handshake is synchronous
  EXPECT_EQ(accepted.peer, *LocalAddress(client.get()));
  EXPECT_EQ(*LocalAddress(accepted.fd.get()), at);
  EXPECT_EQ(*PeerAddress(accepted.fd.get()), accepted.peer);
  EXPECT_EQ(OriginalDestination(accepted.fd.get(), at.ip.is_v4()), std::nullopt);
  EXPECT_EQ(Accept(listener->get(), &accepted), EAGAIN);
}

// Two connections from one address and port to two destinations: what lets a client's address be
// used for as many connections as there are ports, per destination.
TEST_P(SocketTest, OnePortServesSeveralDestinations) {
  auto first = Listen(Address(GetParam()), {});
  auto second = Listen(Address(GetParam()), {});
  ASSERT_TRUE(first.ok() && second.ok());
  std::optional<net::SocketAddress> source;
  std::vector<UniqueFd> clients;
  for (const UniqueFd* listener : {&*first, &*second}) {
    const net::SocketAddress at = *LocalAddress(listener->get());
    UniqueFd& client = clients.emplace_back(NewTcpSocket(at.ip.is_v4()));
    ASSERT_EQ(SetReuseAddress(client.get()), 0);
    ASSERT_EQ(Bind(client.get(), source ? *source : net::SocketAddress{at.ip, 0}), 0);
    const int connected = Connect(client.get(), at);
    EXPECT_TRUE(connected == 0 || connected == EINPROGRESS) << connected;
    source = LocalAddress(client.get());
  }
  UniqueFd third = NewTcpSocket(source->ip.is_v4());
  ASSERT_EQ(SetReuseAddress(third.get()), 0);
  ASSERT_EQ(Bind(third.get(), *source), 0);
  EXPECT_EQ(Connect(third.get(), *LocalAddress(first->get())), EADDRNOTAVAIL);
  for (const UniqueFd& client : clients) ResetOnClose(client.get());
}

INSTANTIATE_TEST_SUITE_P(Families, SocketTest, testing::Values("127.0.0.1:0", "[::1]:0"));

TEST(ListenTest, NamesTheAddressInUse) {
  auto first = Listen(Address("127.0.0.1:0"), {.reuse_port = false});
  ASSERT_TRUE(first.ok());
  const net::SocketAddress at = *LocalAddress(first->get());
  const auto second = Listen(at, {.reuse_port = false});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(),
            "cannot listen on " + at.ToString() + ": bind: Address already in use");
}

}  // namespace
}  // namespace whence::os
