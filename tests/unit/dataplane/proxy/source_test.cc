// Which address and port an upstream connection leaves from.
#include <set>
#include <thread>
#include <vector>

#include "common/trust/resolver.h"
#include "dataplane/proxy/source_choice.h"
#include "dataplane/proxy/source_port.h"
#include "gtest/gtest.h"

namespace whence::proxy {
namespace {

using Kind = SourceChoice::Kind;

net::IpAddress Ip(std::string_view text) { return *net::IpAddress::Parse(text); }
net::SocketAddress Address(std::string_view text) { return *net::SocketAddress::Parse(text); }

struct Given {
  trust::Role role = trust::Role::kSidecar;
  InterceptionMode mode = InterceptionMode::kTproxy;
  trust::UpstreamSource source = trust::UpstreamSource::kDirectPeer;
};

// The peer 10.0.0.9 is a gateway that vouches for `client`.
SourceChoice Choose(const Given& given, std::string_view client = "1.1.1.1",
                    std::string_view destination = "10.0.0.5") {
  trust::Topology topology = trust::DefaultTopology(trust::Role::kSidecar);
  topology.mesh_gateways = net::CidrSet({*net::Cidr::Parse("10.0.0.9")});
  const net::DirectPeer peer{Address("10.0.0.9:40000")};
  const http::HeaderField field{"x-forwarded-for", client};
  const http::FieldId id = http::FieldId::kXForwardedFor;
  const trust::Resolution resolution = trust::Resolve(
      peer, {.fields = {&field, 1}, .ids = {&id, 1}, .agent_word = trust::AgentWord::kOwn},
      topology);
  EXPECT_EQ(resolution.client.ip(), Ip(client));
  topology.role = given.role;
  topology.upstream_source = given.source;
  return ChooseSource(topology, given.mode, peer, resolution.client, Ip(destination));
}

TEST(SourceChoiceTest, SidecarSpoofsWhomTheTopologyNames) {
  EXPECT_EQ(Choose({}), (SourceChoice{Kind::kSpoofed, Ip("10.0.0.9")}));
  EXPECT_EQ(Choose({.source = trust::UpstreamSource::kTrustedClient}),
            (SourceChoice{Kind::kSpoofed, Ip("1.1.1.1")}));
  EXPECT_EQ(Choose({.source = trust::UpstreamSource::kAgent}).kind, Kind::kOwn);
}

TEST(SourceChoiceTest, OtherFamilyCannotBeASource) {
  EXPECT_EQ(Choose({.source = trust::UpstreamSource::kTrustedClient}, "2001:db8::1").kind,
            Kind::kUnavailable);
  EXPECT_EQ(Choose({}, "1.1.1.1", "2001:db8::5").kind, Kind::kUnavailable);
}

TEST(SourceChoiceTest, WhatNoClientCanHaveIsNoSource) {
  const Given given{.source = trust::UpstreamSource::kTrustedClient};
  for (const char* client : {"127.0.0.1", "127.255.255.255", "0.1.2.3"}) {
    EXPECT_EQ(Choose(given, client).kind, Kind::kUnavailable) << client;
  }
  EXPECT_EQ(Choose(given, "::1", "2001:db8::5").kind, Kind::kUnavailable);
}

TEST(SourceChoiceTest, RedirectIsAlwaysTheWellKnownAddress) {
  for (const auto source : {trust::UpstreamSource::kDirectPeer,
                            trust::UpstreamSource::kTrustedClient, trust::UpstreamSource::kAgent}) {
    EXPECT_EQ(Choose({.mode = InterceptionMode::kRedirect, .source = source}),
              (SourceChoice{Kind::kFixed, Ip("127.0.0.6")}));
  }
  EXPECT_EQ(RedirectSource(false), Ip("::6"));
}

TEST(SourceChoiceTest, GatewaysUseTheirOwn) {
  EXPECT_EQ(Choose({.role = trust::Role::kGateway}).kind, Kind::kOwn);
  EXPECT_EQ(Choose({.role = trust::Role::kNode}).kind, Kind::kOwn);
}

TEST(SourceChoiceTest, FallsBackOnlyWhereTold) {
  trust::Topology topology = trust::DefaultTopology(trust::Role::kSidecar);
  EXPECT_EQ(FallbackSource(topology), std::nullopt);
  topology.upstream_fallback = trust::UpstreamFallback::kAgent;
  EXPECT_EQ(FallbackSource(topology)->kind, Kind::kOwn);
}

TEST(PortSequenceTest, WorkersShareTheRangeWithoutMeeting) {
  std::set<uint16_t> seen;
  for (uint32_t worker = 0; worker < 3; ++worker) {
    PortSequence ports({100, 110}, 3, worker, 77);
    std::set<uint16_t> own;
    for (int i = 0; i < 50; ++i) own.insert(ports.Next());
    EXPECT_EQ(own.size(), 3u);
    for (const uint16_t port : own) {
      EXPECT_GE(port, 100);
      EXPECT_LE(port, 110);
      EXPECT_TRUE(seen.insert(port).second) << port << " belongs to two workers";
    }
  }
}

TEST(PortSequenceTest, ComesBackToAPortAsLateAsPossible) {
  PortSequence ports({1000, 1009}, 1, 0, 4);
  std::set<uint16_t> seen;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(seen.insert(ports.Next()).second);
}

// However the ports in use lie together, a free one is found soon, and only by whose it is.
TEST(PortSequenceTest, JumpsOutOfWhatIsInUse) {
  constexpr PortRange kRange{10'240, 32'767};
  for (const uint32_t workers : {1u, 2u, 3u, 8u}) {
    for (uint32_t start = 0; start < 22'000; start += 997) {
      PortSequence ports(kRange, workers, workers - 1, start);
      const uint16_t first = ports.Next();
      // All but a tenth of the range is in use, from here on.
      const auto is_free = [&](uint16_t port) {
        return (uint32_t{port} + 22'528 - first) % 22'528 >= 22'528 * 9 / 10;
      };
      int jumps = 0;
      uint16_t port = first;
      for (; !is_free(port) && jumps < 12; ++jumps) {
        ports.Jump();
        port = ports.Next();
        EXPECT_EQ((port - first) % static_cast<int>(workers), 0);
      }
      EXPECT_TRUE(is_free(port)) << workers << " " << start;
    }
  }
}

TEST(PortSequenceTest, OnePortServesAll) {
  PortSequence ports({7, 7}, 4, 3, 9);
  EXPECT_EQ(ports.Next(), 7);
  EXPECT_EQ(ports.Next(), 7);
}

TEST(TupleTableTest, WatchesOnlyPortsOfTheRange) {
  TupleTable table({1000, 2000});
  const auto destination = Address("10.0.0.5:80");
  EXPECT_FALSE(table.Add(Address("1.1.1.1:2001"), destination));
  EXPECT_TRUE(table.Add(Address("1.1.1.1:2000"), destination));
  EXPECT_TRUE(table.Contains(Address("1.1.1.1:2000"), destination));
  EXPECT_FALSE(table.Contains(Address("1.1.1.2:2000"), destination));
  EXPECT_FALSE(table.Contains(Address("1.1.1.1:2000"), Address("10.0.0.5:81")));

  // The same tuple again, while the old connection still lingers.
  EXPECT_TRUE(table.Add(Address("1.1.1.1:2000"), destination));
  table.Remove(Address("1.1.1.1:2000"), destination);
  EXPECT_TRUE(table.Contains(Address("1.1.1.1:2000"), destination));
  table.Remove(Address("1.1.1.1:2000"), destination);
  EXPECT_FALSE(table.Contains(Address("1.1.1.1:2000"), destination));
}

TEST(TupleTableTest, IsSafeFromSeveralThreads) {
  TupleTable table({1, 65535});
  const auto destination = Address("10.0.0.5:80");
  std::vector<std::thread> threads;
  for (uint16_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint16_t i = 0; i < 1000; ++i) {
        const net::SocketAddress client{Ip("1.1.1.1"), static_cast<uint16_t>(t * 1000 + i)};
        table.Add(client, destination);
        EXPECT_TRUE(table.Contains(client, destination));
        table.Remove(client, destination);
        EXPECT_FALSE(table.Contains(client, destination));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace whence::proxy
