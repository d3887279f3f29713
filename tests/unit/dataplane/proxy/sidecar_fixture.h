// A sidecar in a pod's network namespace, with the real packet rules.
//
// Client and pod are namespaces joined by a cable; the data plane and the application's origin run
// on threads of this process that live in the pod's.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_PROXY_SIDECAR_FIXTURE_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_PROXY_SIDECAR_FIXTURE_H_

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/proxy_protocol/formatter.h"
#include "common/proxy_protocol/handover.h"
#include "dataplane/intercept/installer.h"
#include "dataplane/intercept/linux_kernel.h"
#include "dataplane/intercept/netns.h"
#include "dataplane/os/socket.h"
#include "dataplane/proxy/data_plane.h"
#include "dataplane/proxy/source_choice.h"
#include "gtest/gtest.h"
#include "tests/lab/lab.h"
#include "tests/lab/wait.h"
#include "tests/unit/dataplane/proxy/wire_end.h"

namespace whence::proxy {

inline constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: app\r\n\r\n";
inline constexpr uint16_t kAppPort = 8080;

inline constexpr proxy_protocol::HandoverKey kOwnKey = {1, 2, 3};

inline net::IpAddress Ip(std::string_view text) { return *net::IpAddress::Parse(text); }

// `family`, `mode`
class SidecarTest : public testing::TestWithParam<std::pair<int, InterceptionMode>> {
 protected:
  bool v4() const { return GetParam().first == 4; }
  bool tproxy() const { return GetParam().second == InterceptionMode::kTproxy; }
  net::IpAddress pod_ip() const { return Ip(v4() ? "10.32.1.205" : "fd00:10:32:1::205"); }
  net::IpAddress client_ip() const { return Ip(v4() ? "10.32.1.1" : "fd00:10:32:1::1"); }
  net::SocketAddress app() const { return {pod_ip(), kAppPort}; }

  void SetUp() override {
    auto made = lab::Lab::Create(lab::Lab::UniqueName("sidecar"));
    ASSERT_TRUE(made.ok()) << made.status();
    lab_ = *std::move(made);
    const lab::Namespace pod = lab_->Space("pod");
    const lab::Namespace client = lab_->Space("client");
    ASSERT_EQ(pod.Create(false), absl::OkStatus());
    ASSERT_EQ(client.Create(false), absl::OkStatus());
    ASSERT_EQ(lab::ConnectByVeth(pod, "eth0", client, "eth0"), absl::OkStatus());
    ASSERT_EQ(pod.Ip("address add 10.32.1.205/24 dev eth0\n"
                     "address add fd00:10:32:1::205/64 dev eth0 nodad\nlink set eth0 up\n"
                     "route add default via 10.32.1.1\nroute add default via fd00:10:32:1::1\n"),
              absl::OkStatus());
    ASSERT_EQ(client.Ip("address add 10.32.1.1/24 dev eth0\n"
                        "address add fd00:10:32:1::1/64 dev eth0 nodad\nlink set eth0 up\n"),
              absl::OkStatus());
    options_.interception = GetParam().second;
    options_.workers = 2;
    options_.own_addresses = {pod_ip()};
    topology_ = trust::DefaultTopology(trust::Role::kSidecar);
  }

  void TearDown() override {
    plane_.reset();
    origin_.reset();
  }

  std::shared_ptr<const snapshot::Snapshot> MakeSnapshot() const {
    auto made = std::make_shared<snapshot::Snapshot>();
    made->topology = topology_;
    made->handover_key = kOwnKey;
    made->port_protocols = port_protocols_;
    made->policies = *policy::PolicySet::Compile(
        policies_, [](const std::string&) { return std::shared_ptr<const net::CidrSet>(); });
    return made;
  }

  void Start(Origin::Serve serve) {
    auto in_pod = intercept::ScopedNetns::Enter(lab_->Space("pod").path());
    ASSERT_TRUE(in_pod.ok()) << in_pod.status();
    intercept::LinuxKernel kernel;
    intercept::Intent intent;
    intent.mode = tproxy() ? intercept::Mode::kTproxy : intercept::Mode::kRedirect;
    ASSERT_EQ(intercept::Normalize(&intent), absl::OkStatus());
    const auto installed = intercept::Install(kernel, intent);
    ASSERT_TRUE(installed.ok()) << installed.status();
    origin_ = std::make_unique<Origin>(std::move(serve),
                                       absl::StrCat(v4() ? "0.0.0.0:" : "[::]:", kAppPort));
    std::vector<access_log::Ring*> rings;
    for (int i = 0; i < options_.workers; ++i) {
      rings_.push_back(std::make_unique<access_log::Ring>());
      rings.push_back(rings_.back().get());
    }
    auto plane = DataPlane::Start(options_, MakeSnapshot(), rings);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = *std::move(plane);
  }

  WireEnd Connect(uint16_t local_port = 0, uint16_t port = kAppPort) {
    auto in_client = intercept::ScopedNetns::Enter(lab_->Space("client").path());
    EXPECT_TRUE(in_client.ok());
    return WireEnd::ConnectTo({pod_ip(), port}, 0, local_port);
  }

  // Leaves a half-open connection from the client's port to the application.
  void BeginConnection(uint16_t port) {
    const lab::Namespace client = lab_->Space("client");
    const std::string rule = absl::StrCat("add rule inet deaf input tcp dport ", port, " drop\n");
    ASSERT_EQ(client.Nft("add table inet deaf\n"
                         "add chain inet deaf input { type filter hook input priority 0; }\n" +
                         rule),
              absl::OkStatus());
    const auto in_client = intercept::ScopedNetns::Enter(client.path());
    ASSERT_TRUE(in_client.ok());
    const os::UniqueFd begun = os::NewTcpSocket(v4());
    ASSERT_EQ(os::Bind(begun.get(), {client_ip(), port}), 0);
    ASSERT_EQ(os::Connect(begun.get(), app()), EINPROGRESS);
    const std::vector<std::string> list = {"ss", "-Htan", "state", "syn-recv"};
    ASSERT_TRUE(lab::WaitUntil([&] {
      return absl::StrContains(lab_->Space("pod").Run(list).out, absl::StrCat(":", port));
    }));
  }

  // What an agent begins the connection with that `agent` is: for a client, or for itself.
  std::string HandOver(const WireEnd& agent, const net::SocketAddress& client) const {
    return Proven(proxy_protocol::Spoken::kByClient, agent.local(), client);
  }
  std::string Announce(const WireEnd& agent) const {
    return Proven(proxy_protocol::Spoken::kByAgent, agent.local(), agent.local());
  }
  std::string Proven(proxy_protocol::Spoken spoken, const net::SocketAddress& from,
                     const net::SocketAddress& source) const {
    const auto proof = proxy_protocol::Prove(kOwnKey, {spoken, from, app(), source});
    const proxy_protocol::Tlv tlv{proxy_protocol::kTlvHandover, {proof.data(), proof.size()}};
    char memory[proxy_protocol::kMaxPlainBytes];
    const auto size = FormatV2(proxy_protocol::Addresses{source, app()}, {&tlv, 1},
                               proxy_protocol::Checksum::kNone, memory);
    return std::string(memory, *size);
  }

  // Waits for that many: a record is written after the last byte of its answer.
  std::vector<access_log::Record> Records(size_t count) {
    std::vector<access_log::Record> records;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (records.size() < count && std::chrono::steady_clock::now() < until) {
      access_log::Record record;
      for (const auto& ring : rings_) {
        while (ring->TryPop(&record)) records.push_back(record);
      }
    }
    return records;
  }
  uint64_t Count(Counter counter) const { return plane_->Collect()[counter]; }

  // Answers every request with the peer that it sees.
  static Origin::Serve TellPeer() {
    return [](WireEnd& end) {
      const std::string peer = end.peer().ToString();
      HttpOrigin([&](const std::string&, const std::string&) { return Ok(peer); })(end);
    };
  }
  static net::SocketAddress PeerIn(const std::string& response) {
    const size_t body = response.find("\r\n\r\n");
    const auto peer =
        net::SocketAddress::Parse(body == std::string::npos ? response : response.substr(body + 4));
    EXPECT_TRUE(peer) << response;
    return peer.value_or(net::SocketAddress{});
  }
  net::IpAddress ExpectedSource() const { return tproxy() ? client_ip() : RedirectSource(v4()); }

  std::unique_ptr<lab::Lab> lab_;
  DataPlaneOptions options_;
  trust::Topology topology_;
  std::vector<policy::PolicySpec> policies_;
  std::vector<std::pair<uint16_t, snapshot::Protocol>> port_protocols_;
  std::vector<std::unique_ptr<access_log::Ring>> rings_;
  std::unique_ptr<Origin> origin_;
  std::unique_ptr<DataPlane> plane_;
};

inline auto AllSidecarModes() {
  return testing::Values(
      std::pair{4, InterceptionMode::kTproxy}, std::pair{6, InterceptionMode::kTproxy},
      std::pair{4, InterceptionMode::kRedirect}, std::pair{6, InterceptionMode::kRedirect});
}
inline std::string SidecarModeName(
    const testing::TestParamInfo<std::pair<int, InterceptionMode>>& mode) {
  return absl::StrCat(mode.param.second == InterceptionMode::kTproxy ? "Tproxy" : "Redirect", "Ipv",
                      mode.param.first);
}

}  // namespace whence::proxy

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_PROXY_SIDECAR_FIXTURE_H_
