#include "tests/unit/dataplane/proxy/gateway_fixture.h"

#include <sys/socket.h>

#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dataplane/os/socket.h"
#include "tests/support/await.h"
#include "tests/support/free_port.h"
#include "tests/support/no_descriptors.h"

namespace whence::proxy {
GatewayTest::GatewayTest() : http_port_(FreePort()), tcp_port_(FreePort()) {
  options_.role = trust::Role::kGateway;
  options_.interception = InterceptionMode::kNone;
  options_.workers = 2;
  options_.listen_addresses = {*net::IpAddress::Parse("127.0.0.1")};
}

std::shared_ptr<const snapshot::Snapshot> GatewayTest::MakeSnapshot(const Setup& setup) const {
  auto made = std::make_shared<snapshot::Snapshot>();
  made->topology = topology_;
  made->handover_key = own_key_;
  auto policies = policy::PolicySet::Compile(
      setup.policies, [](const std::string&) { return std::shared_ptr<const net::CidrSet>(); });
  EXPECT_TRUE(policies.ok()) << policies.status();
  made->policies = *policies;
  made->keep_query = setup.keep_query;
  for (const auto* endpoints : {&setup.http, &setup.tcp}) {
    snapshot::Cluster& cluster = made->clusters.emplace_back();
    for (const net::SocketAddress& address : *endpoints) {
      cluster.endpoints.push_back({.address = address,
                                   .workload = "test/origin",
                                   .has_sidecar = setup.has_sidecar,
                                   .handover_key = setup.handover_key});
    }
  }
  snapshot::Listener http{.port = http_port_, .protocol = snapshot::Protocol::kHttp};
  http.virtual_hosts = snapshot::VirtualHosts(
      {{.domains = {"*"}, .routes = {{.name = "all", .path = "/", .cluster = 0}}}});
  made->listeners.push_back(std::move(http));
  made->listeners.push_back({.port = tcp_port_,
                             .protocol = snapshot::Protocol::kTcp,
                             .tcp_routes = {{.destinations = {{.cluster = 1}}}}});
  return made;
}

void GatewayTest::Start(const Setup& setup) {
  std::vector<access_log::Ring*> rings;
  for (int i = 0; i < options_.workers; ++i) {
    rings_.push_back(std::make_unique<access_log::Ring>());
    rings.push_back(rings_.back().get());
  }
  auto plane = DataPlane::Start(options_, MakeSnapshot(setup), rings);
  ASSERT_TRUE(plane.ok()) << plane.status();
  plane_ = *std::move(plane);
}

void GatewayTest::Publish(const Setup& setup) {
  const absl::Status published = plane_->Publish(MakeSnapshot(setup));
  ASSERT_TRUE(published.ok()) << published;
}

WireEnd GatewayTest::ConnectHttp(int receive_buffer) const {
  return WireEnd::ConnectTo({*net::IpAddress::Parse("127.0.0.1"), http_port_}, receive_buffer);
}

WireEnd GatewayTest::WaitAtHttp(std::string_view bytes) const {
  os::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const uint64_t pauses = Count(Counter::kAcceptPaused);
  const NoDescriptors shortage(static_cast<rlim_t>(socket.get()));
  EXPECT_EQ(os::Connect(socket.get(), {*net::IpAddress::Parse("127.0.0.1"), http_port_}), 0);
  WireEnd client(std::move(socket));
  if (!bytes.empty()) client.Send(bytes);
  AwaitCounter(Counter::kAcceptPaused, pauses + 1);
  return client;
}

WireEnd GatewayTest::ConnectTcp() const {
  return WireEnd::ConnectTo({*net::IpAddress::Parse("127.0.0.1"), tcp_port_});
}

policy::PolicySpec GatewayTest::DenyPath(const std::string& path) {
  policy::PolicySpec spec{.namespace_ = "test", .name = "deny", .action = policy::Action::kDeny};
  policy::Operation operation;
  operation.paths = {path};
  spec.rules.push_back({.to = {operation}});
  return spec;
}

policy::PolicySpec GatewayTest::DenyEverything() {
  policy::PolicySpec spec{.namespace_ = "test", .name = "closed", .action = policy::Action::kDeny};
  spec.rules.emplace_back();
  return spec;
}

policy::PolicySpec GatewayTest::Ending(policy::Action action, std::chrono::milliseconds later) {
  policy::PolicySpec spec{.namespace_ = "test", .name = "ending", .action = action};
  spec.rules.emplace_back();
  spec.expires = absl::FormatTime(absl::RFC3339_full, absl::Now() + absl::FromChrono(later),
                                  absl::UTCTimeZone());
  return spec;
}

access_log::Record GatewayTest::NextRecord() {
  access_log::Record record;
  const bool came = Await([&] {
    for (const auto& ring : rings_) {
      if (ring->TryPop(&record)) return true;
    }
    return false;
  });
  EXPECT_TRUE(came) << "no access record";
  return record;
}

void GatewayTest::AwaitCounter(Counter counter, uint64_t value) const {
  EXPECT_TRUE(Await([&] { return Count(counter) >= value; }))
      << Info(counter).metric << " stayed at " << Count(counter);
}

void GatewayTest::AwaitZero(Counter gauge) const {
  EXPECT_TRUE(Await([&] { return Count(gauge) == 0; }))
      << Info(gauge).metric << " stayed at " << Count(gauge);
}

}  // namespace whence::proxy
