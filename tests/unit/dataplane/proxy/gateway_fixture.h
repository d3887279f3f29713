// A data plane in the test's own process, as a gateway on loopback, in front of origins of the
// test.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_PROXY_GATEWAY_FIXTURE_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_PROXY_GATEWAY_FIXTURE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/policy/policy_set.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/proxy/data_plane.h"
#include "gtest/gtest.h"
#include "tests/unit/dataplane/proxy/wire_end.h"

namespace whence::proxy {

class GatewayTest : public testing::Test {
 protected:
  struct Setup {
    std::vector<net::SocketAddress> http = {};  // endpoints behind the HTTP port
    std::vector<net::SocketAddress> tcp = {};   // behind the TCP port
    std::vector<policy::PolicySpec> policies = {};
    bool has_sidecar = false;  // the endpoints
    bool keep_query = false;
    std::optional<proxy_protocol::HandoverKey> handover_key = {};
  };

  GatewayTest();

  std::shared_ptr<const snapshot::Snapshot> MakeSnapshot(const Setup& setup) const;
  void Start(const Setup& setup);
  void Publish(const Setup& setup);

  WireEnd ConnectHttp(int receive_buffer = 0) const;
  WireEnd ConnectTcp() const;
  // A client that has sent `bytes` to the HTTP port and that no worker has accepted, in all
  // likelihood: accepting pauses for 100 ms.
  WireEnd WaitAtHttp(std::string_view bytes) const;
  // A policy that denies the path / everything.
  static policy::PolicySpec DenyPath(const std::string& path);
  static policy::PolicySpec DenyEverything();
  // A policy with one rule, for everything, that ends so much later.
  static policy::PolicySpec Ending(policy::Action action, std::chrono::milliseconds later);

  // The next record; waits for it.
  access_log::Record NextRecord();
  // Waits until `counter` has reached `value`.
  void AwaitCounter(Counter counter, uint64_t value) const;
  void AwaitZero(Counter gauge) const;
  uint64_t Count(Counter counter) const { return plane_->Collect()[counter]; }

  DataPlaneOptions options_;
  trust::Topology topology_ = trust::DefaultTopology(trust::Role::kGateway);
  std::optional<proxy_protocol::HandoverKey> own_key_;
  uint16_t http_port_;
  uint16_t tcp_port_;
  std::vector<std::unique_ptr<access_log::Ring>> rings_;
  std::unique_ptr<DataPlane> plane_;
};

}  // namespace whence::proxy

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_PROXY_GATEWAY_FIXTURE_H_
