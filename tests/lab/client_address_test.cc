// What depends on the client's address being true: applications that decide by it, behind a gateway
// that would hide it, and with protocols whose server speaks first.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proxy_protocol/formatter.h"
#include "common/proxy_protocol/parser.h"
#include "tests/lab/documents.h"
#include "tests/lab/lab.h"
#include "tests/lab/mesh.h"
#include "tests/lab/network.h"

namespace whence::lab {
namespace {

std::string PeerOf(int fd) {
  sockaddr_in6 peer{};
  socklen_t size = sizeof(peer);
  char text[INET6_ADDRSTRLEN] = "";
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return text;
  if (peer.sin6_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&peer)->sin_addr, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
  }
  return text;
}

// Relays for its own network and for nobody else, as mail servers are told by such lists of
// addresses. It speaks first, and knows nothing of proxies.
class MailServer {
 public:
  MailServer(const Namespace& pod, const std::string& address, uint16_t port) {
    const auto fd = pod.Listen(address, port);
    EXPECT_TRUE(fd.ok()) << fd.status();
    listener_ = fd.value_or(-1);
    thread_ = std::thread([this] { Run(); });
  }
  ~MailServer() {
    shutdown(listener_, SHUT_RDWR);  // wakes accept
    thread_.join();
    close(listener_);
  }

 private:
  void Run() {
    for (int fd = accept(listener_, nullptr, nullptr); fd >= 0;
         fd = accept(listener_, nullptr, nullptr)) {
      const std::string peer = PeerOf(fd);
      const bool is_inside = absl::StartsWith(peer, "10.") || absl::StartsWith(peer, "fd00:");
      Say(fd, "220 mail\n");
      char request[256];
      if (read(fd, request, sizeof(request)) > 0) {
        Say(fd, (is_inside ? "250 relayed for " : "554 relay denied to ") + peer + "\n");
      }
      close(fd);
    }
  }
  static void Say(int fd, const std::string& line) {
    EXPECT_EQ(write(fd, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }

  int listener_ = -1;
  std::thread thread_;
};

class ClientAddressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto lab = Lab::Create(Lab::UniqueName("address"));
    ASSERT_TRUE(lab.ok()) << lab.status();
    lab_ = *std::move(lab);
    ASSERT_EQ(BuildNetwork(*lab_), absl::OkStatus());
    mesh_.emplace(*lab_, /*detached=*/false);
    ASSERT_EQ(mesh_->Start(Interception::kTproxy), absl::OkStatus());
  }

  // The gateway's TCP port leads to that port of the echo pod. `words`: more about the port.
  static std::string RouteTo(uint16_t port, const std::string& words) {
    return absl::StrCat(R"(
apiVersion: v1
kind: Service
metadata: {name: application, namespace: default}
spec:
  selector: {app: echo}
  ipFamilyPolicy: PreferDualStack
  ipFamilies: [IPv4, IPv6]
  ports: [{port: )",
                        port, words, R"(}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: ["*"]
  gateways: [istio-system/edge]
  tcp:
  - match: [{port: 9000}]
    route:
    - destination: {host: application.default.svc.cluster.local, port: {number: )",
                        port, "}}\n");
  }

  // The server's verdict on a mail for somebody elsewhere; its greeting has to come unasked.
  std::string Relay(const Host& from, const std::string& address, uint16_t port) {
    auto connection = HttpConnection::Open(lab_->Space(from.name), address, port);
    if (!connection.ok()) return std::string(connection.status().message());
    const auto greeting = connection->ReadLine();
    if (greeting.value_or("") != "220 mail\n") return "no greeting: " + greeting.value_or("");
    if (!connection->Send("RCPT TO:<victim@example.org>\n").ok()) return "not sent";
    return connection->ReadLine().value_or("no answer");
  }

  // The echo server's first words to who begins with `bytes`: "peer ADDRESS PORT", or nothing.
  std::string PeerSeenBehind(const std::string& bytes, const Host& from,
                             const std::string& address) {
    auto connection = HttpConnection::Open(lab_->Space(from.name), address, 9000);
    if (!connection.ok()) {
      // Reset before it was seen to be open: it was open, and told nothing.
      const std::string why(connection.status().message());
      return absl::StrContains(why, std::strerror(ECONNRESET)) ? "" : why;
    }
    if (!bytes.empty()) (void)connection->Send(bytes);  // may be refused before it is sent
    const std::string line = connection->ReadLine().value_or("");
    return line.substr(0, line.rfind(' '));
  }

  // A number of the agent's metrics page; 0 if it is not there.
  double Metric(const Host& host, const std::string& name) {
    const auto page = Ask(lab_->Space(host.name), "127.0.0.1", 15020, {.target = "/metrics"});
    EXPECT_TRUE(page.ok()) << page.status();
    const std::string text = page.ok() ? "\n" + page->body : "";
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::atof(text.c_str() + at + name.size() + 2);
  }

  std::unique_ptr<Lab> lab_;
  std::optional<Mesh> mesh_;
};

constexpr char kForbidden[] = R"(whence_proxy_protocol_headers_total{result="forbidden"})";
constexpr char kUnproven[] = R"(whence_proxy_protocol_headers_total{result="unproven"})";

// What a client claims to be, in both forms of the header.
std::vector<std::string> Claims(Family family) {
  const bool v4 = family == Family::kIpv4;
  const proxy_protocol::Addresses addresses = {
      *net::SocketAddress::Parse(v4 ? "6.6.6.6:1000" : "[2001:db8::6]:1000"),
      *net::SocketAddress::Parse(v4 ? "1.2.3.4:9000" : "[2001:db8::1]:9000")};
  char memory[proxy_protocol::kMaxPlainBytes];
  const size_t text = proxy_protocol::FormatV1(addresses, memory).value_or(0);
  std::vector<std::string> claims = {std::string(memory, text)};
  const size_t binary =
      proxy_protocol::FormatV2(addresses, {}, proxy_protocol::Checksum::kNone, memory).value_or(0);
  claims.emplace_back(memory, binary);
  return claims;
}

TEST_F(ClientAddressTest, AMailServerBehindAGatewayIsNoOpenRelay) {
  constexpr uint16_t kPort = 2525;
  const MailServer v4(lab_->Space("echo"), "0.0.0.0", kPort);
  const MailServer v6(lab_->Space("echo"), kEcho.v6, kPort);
  // Found by waiting, within bounds, for a client that says nothing.
  ASSERT_EQ(mesh_->Apply(RouteTo(kPort, "")), absl::OkStatus());
  // What there is without Whence's answer: everybody comes from the gateway, which is inside.
  EXPECT_EQ(Relay(kClient, kLoadBalancer.v4, 9000),
            absl::StrCat("250 relayed for ", kGateway.v4, "\n"));

  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  for (const std::string& declared : {std::string(), std::string(", appProtocol: tcp")}) {
    ASSERT_EQ(mesh_->Apply(RouteTo(kPort, declared)), absl::OkStatus());
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      EXPECT_EQ(Relay(kClient, kLoadBalancer.address(family), 9000),
                absl::StrCat("554 relay denied to ", kClient.address(family), "\n"));
      // Its own network still may, past the gateway.
      EXPECT_EQ(Relay(kSleep, kEcho.address(family), kPort),
                absl::StrCat("250 relayed for ", kSleep.address(family), "\n"));
    }
  }
}

// The same claim, from a cloud's load balancer.
std::string WithTlvs(Family family, proxy_protocol::Checksum checksum) {
  const bool v4 = family == Family::kIpv4;
  const proxy_protocol::Addresses addresses = {
      *net::SocketAddress::Parse(v4 ? "6.6.6.6:1000" : "[2001:db8::6]:1000"),
      *net::SocketAddress::Parse(v4 ? "1.2.3.4:9000" : "[2001:db8::1]:9000")};
  const proxy_protocol::Tlv tlvs[] = {{proxy_protocol::kTlvAuthority, "shop.example"},
                                      {proxy_protocol::kTlvAws, "\x01vpce-1"}};
  char memory[256];
  return {memory, proxy_protocol::FormatV2(addresses, tlvs, checksum, memory).value_or(0)};
}

// Who opens a TCP connection through a gateway speaks from the gateway's address, wherever the
// gateway does not know of the sidecar; and from a node's, while its agent is away.
TEST_F(ClientAddressTest, AnAgentsAddressIsNoProof) {
  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(PeerSeenBehind("", kClient, kLoadBalancer.address(family)),
              "peer " + kClient.address(family));
    for (const std::string& claim : Claims(family)) {
      const double refused = Metric(kEcho, kUnproven);
      EXPECT_EQ(PeerSeenBehind(claim, kGateway, kEcho.address(family)), "");
      EXPECT_EQ(Metric(kEcho, kUnproven), refused + 1);
    }
    // Its requests are served as anybody's, in its own name.
    const auto answer =
        Ask(lab_->Space(kGateway.name), kEcho.address(family), 8080,
            {.headers = {{"x-whence-client", "6.6.6.6"}, {"x-forwarded-for", "6.6.6.6"}}});
    ASSERT_TRUE(answer.ok()) << answer.status();
    const auto seen = ParseSeen(*answer);
    ASSERT_TRUE(seen.ok()) << seen.status();
    EXPECT_EQ(seen->peer, kGateway.address(family));
    EXPECT_FALSE(seen->Has("x-whence-client"));
  }
  EXPECT_EQ(Metric(kEcho, "whence_spoofed_headers_total"), 2);

  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kCluster), absl::OkStatus());
  ASSERT_EQ(mesh_->StartNodeAgents(), absl::OkStatus());
  mesh_->KillNodeAgents();  // kube-proxy goes on for them; the gateway still knows them
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(PeerSeenBehind("", kClient, kLoadBalancer.address(family)),
              "peer " + kNode54.address(family));
    for (const std::string& claim : Claims(family)) {
      const double refused = Metric(kGateway, kUnproven);
      EXPECT_EQ(PeerSeenBehind(claim, kClient, kLoadBalancer.address(family)), "");
      EXPECT_EQ(Metric(kGateway, kUnproven), refused + 1);
    }
  }
}

// A proxy of the operator's own in front of the gateway: who may speak for others, and who must.
TEST_F(ClientAddressTest, HeadersAreTakenFromWhomTheTopologyNames) {
  const std::string sender = absl::StrCat(kClient.v4, "/32, \"", kClient.v6, "/128\"");
  const auto accept = [&](const std::string& what) {
    return mesh_->Apply(absl::StrCat(
        "apiVersion: whence.dev/v1\nkind: TrustTopology\nmetadata: {name: edge, namespace: "
        "istio-system}\nspec:\n  selector: {matchLabels: {app: istio-ingressgateway}}\n"
        "  proxyProtocol: {accept: ",
        what, ", from: {cidrs: [", sender, "]}}\n"));
  };
  const std::string local =
      std::string(proxy_protocol::kSignatureV2) + std::string("\x20\0\0\0", 4);
  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const std::string front = kLoadBalancer.address(family);
    const std::string client = "peer " + kClient.address(family);
    const std::string named = family == Family::kIpv4 ? "peer 6.6.6.6" : "peer 2001:db8::6";
    // All kinds on one port.
    ASSERT_EQ(accept("OPTIONAL"), absl::OkStatus());
    EXPECT_EQ(PeerSeenBehind("plain\n", kClient, front), client);
    EXPECT_EQ(PeerSeenBehind(local + "a health check\n", kClient, front), client);
    for (const std::string& claim : Claims(family)) {
      EXPECT_EQ(PeerSeenBehind(claim, kClient, front), named);
      // The server speaks first, so its greeting may arrive before the header is met and refused.
      const double forbidden = Metric(kGateway, kForbidden);
      EXPECT_NE(PeerSeenBehind(claim, kSleep, kGateway.address(family)), named);
      EXPECT_TRUE(WaitUntil([&] { return Metric(kGateway, kForbidden) == forbidden + 1; }));
    }
    EXPECT_EQ(PeerSeenBehind("plain\n", kSleep, kGateway.address(family)),
              "peer " + kSleep.address(family));
    // A checksum, where there is one, has to be right.
    const std::string summed = WithTlvs(family, proxy_protocol::Checksum::kCrc32c);
    std::string wrong = summed;
    wrong.back() = static_cast<char>(wrong.back() ^ 1);
    EXPECT_EQ(PeerSeenBehind(summed, kClient, front), named);
    EXPECT_EQ(PeerSeenBehind(wrong, kClient, front), "");

    ASSERT_EQ(accept("REQUIRED"), absl::OkStatus());
    EXPECT_EQ(PeerSeenBehind("plain\n", kClient, front), "");
    EXPECT_EQ(PeerSeenBehind(local, kClient, front), client);
    EXPECT_EQ(PeerSeenBehind("plain\n", kSleep, kGateway.address(family)), "");
    for (const std::string& claim : Claims(family)) {
      EXPECT_EQ(PeerSeenBehind(claim, kClient, front), named);
    }

    ASSERT_EQ(accept("\"OFF\""), absl::OkStatus());
    EXPECT_EQ(PeerSeenBehind("plain\n", kClient, front), client);
    for (const std::string& claim : Claims(family)) {
      // Payload to the gateway; the sidecar keeps it from the application all the same.
      const double forbidden = Metric(kEcho, kForbidden);
      EXPECT_NE(PeerSeenBehind(claim, kClient, front), named);
      EXPECT_TRUE(WaitUntil([&] { return Metric(kEcho, kForbidden) == forbidden + 1; }));
    }
  }
  EXPECT_TRUE(WaitUntil([&] {
    return mesh_
               ->Sql(
                   "select count(*) from access_log where role = 'gateway' and proxy_tlvs = "
                   "'authority=shop.example,aws-vpce-id=vpce-1'")
               .out == "2\n";
  })) << mesh_->Sql("select role, client_reason, proxy_tlvs from access_log").out;
}

// A pod that asks for itself, by way of the gateway.
TEST_F(ClientAddressTest, APodMayBeItsOwnClient) {
  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const std::string self = kEcho.address(family);
    EXPECT_EQ(PeerSeenBehind("", kEcho, kGateway.address(family)), "peer " + self);
    const auto answer = Ask(lab_->Space(kEcho.name), kGateway.address(family), 80, {});
    ASSERT_TRUE(answer.ok()) << answer.status();
    const auto seen = ParseSeen(*answer);
    ASSERT_TRUE(seen.ok()) << seen.status();
    EXPECT_EQ(seen->peer, self);
    EXPECT_EQ(PeerSeenBehind("", kEcho, self), "peer " + self) << "past the agent";
  }
}

// A control plane that comes back without its secret gives everybody new keys.
TEST_F(ClientAddressTest, HandOversGoOnWithNewKeys) {
  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  const auto kept = [&](const std::string& agent) {
    return ReadFile(absl::StrCat(lab_->directory(), "/agent-", agent, "/config/bundle"));
  };
  const std::string gateway = kept("gateway"), sidecar = kept("echo");
  mesh_->control_plane().Stop();
  // With the old keys, as without a control plane.
  EXPECT_EQ(PeerSeenBehind("", kClient, kLoadBalancer.v4), absl::StrCat("peer ", kClient.v4));
  const std::string secret = lab_->directory() + "/control-plane/handover.key";
  ASSERT_EQ(unlink(secret.c_str()), 0);
  ASSERT_EQ(mesh_->StartControlPlane(), absl::OkStatus());
  ASSERT_TRUE(WaitUntil([&] { return kept("gateway") != gateway && kept("echo") != sidecar; }));
  EXPECT_TRUE(WaitUntil([&] {
    return PeerSeenBehind("", kClient, kLoadBalancer.v4) == absl::StrCat("peer ", kClient.v4);
  }));
  ASSERT_EQ(mesh_->WaitForRoute(), absl::OkStatus());
}

TEST_F(ClientAddressTest, ARealRedisSeesTheClient) {
  ASSERT_TRUE(lab::Run({"redis-server", "--version"}).ok())
      << "install it: deploy/packages.txt names it";
  constexpr uint16_t kPort = 6379;
  auto redis = Process::Start(
      {.command = {"redis-server", "--port", std::to_string(kPort), "--bind", "0.0.0.0",
                   "::", "--protected-mode", "no", "--save", "", "--dir", lab_->directory()},
       .netns = lab_->Space("echo").path(),
       .output = lab_->directory() + "/redis"});
  ASSERT_TRUE(redis.ok()) << redis.status();
  ASSERT_TRUE(WaitUntil([&] { return absl::StrContains(redis->Output(), "Ready to accept"); }))
      << redis->Output();
  ASSERT_EQ(mesh_->Apply(RouteTo(kPort, ", appProtocol: redis")), absl::OkStatus());
  ASSERT_EQ(mesh_->Apply(kClientIsThePeer), absl::OkStatus());
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const CommandResult list = lab_->Space("client").Run(
        {"redis-cli", "-h", kLoadBalancer.address(family), "-p", "9000", "CLIENT", "LIST"});
    const std::string client =
        family == Family::kIpv4 ? std::string(kClient.v4) : absl::StrCat("[", kClient.v6, "]");
    EXPECT_TRUE(absl::StrContains(list.out, absl::StrCat(" addr=", client, ":")))
        << list.out << list.err;
  }
}

}  // namespace
}  // namespace whence::lab
