// Discovery over a unix socket, with a real gRPC client that plays the agent.
//
// That nothing is sent cannot be waited for. Where a test claims it, it asks for a name that does
// not exist: the answer to that comes at once, and whatever had been sent before would come first.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_DISCOVERY_DISCOVERY_FIXTURE_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_DISCOVERY_DISCOVERY_FIXTURE_H_

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/bundle/config_view.h"
#include "controlplane/discovery/client_status_service.h"
#include "controlplane/discovery/discovery_service.h"
#include "controlplane/discovery/inventory_store.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace whence::discovery {

using namespace std::chrono_literals;
using envoy::config::core::v3::Node;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

inline Node MakeNode(const std::string& id, const std::string& role, const std::string& address) {
  Node node;
  node.set_id(id);
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["role"].set_string_value(role);
  fields["addresses"].mutable_list_value()->add_values()->set_string_value(address);
  auto& labels = *fields["labels"].mutable_struct_value()->mutable_fields();
  labels["app"].set_string_value(id.substr(id.find('/') + 1));
  return node;
}

inline v1::Document Policy(const std::string& name, const std::string& app,
                           const std::string& block, const std::string& ip_set = "") {
  v1::Document document;
  document.set_kind("IpPolicy");
  document.mutable_metadata()->set_namespace_("shop");
  document.mutable_metadata()->set_name(name);
  auto& spec = *document.mutable_ip_policy();
  (*spec.mutable_selector()->mutable_match_labels())["app"] = app;
  spec.set_action(v1::IpPolicySpec::DENY);
  auto& source = *spec.add_rules()->add_from()->mutable_source();
  if (!block.empty()) source.add_remote_ip_blocks(block);
  if (!ip_set.empty()) source.add_remote_ip_sets(ip_set);
  return document;
}

inline v1::Document Set(const std::string& name, const std::string& cidr) {
  v1::Document document;
  document.set_kind("IpSet");
  document.mutable_metadata()->set_namespace_("shop");
  document.mutable_metadata()->set_name(name);
  document.mutable_ip_set()->add_cidrs(cidr);
  return document;
}

// One delta stream, driven by hand. Every read has the call's deadline.
class DeltaClient {
 public:
  explicit DeltaClient(AggregatedDiscoveryService::Stub& stub) {
    context_.set_deadline(std::chrono::system_clock::now() + 30s);
    stream_ = stub.DeltaAggregatedResources(&context_);
  }
  ~DeltaClient() {
    if (!stream_) return;
    context_.TryCancel();
    (void)Finish();
  }

  void Send(DeltaDiscoveryRequest request) { stream_->Write(request); }
  bool TrySend(const DeltaDiscoveryRequest& request) { return stream_->Write(request); }
  void Subscribe(const Node& node, const std::string& type, std::vector<std::string> names,
                 std::map<std::string, std::string> versions = {}) {
    DeltaDiscoveryRequest request;
    *request.mutable_node() = node;
    request.set_type_url(type);
    for (auto& name : names) request.add_resource_names_subscribe(name);
    request.mutable_initial_resource_versions()->insert(versions.begin(), versions.end());
    Send(request);
  }
  void Ack(const DeltaDiscoveryResponse& response) {
    DeltaDiscoveryRequest request;
    request.set_type_url(response.type_url());
    request.set_response_nonce(response.nonce());
    Send(request);
  }
  void Nack(const DeltaDiscoveryResponse& response, const std::string& message) {
    DeltaDiscoveryRequest request;
    request.set_type_url(response.type_url());
    request.set_response_nonce(response.nonce());
    request.mutable_error_detail()->set_code(3);
    request.mutable_error_detail()->set_message(message);
    Send(request);
  }
  bool TryRead(DeltaDiscoveryResponse* response) { return stream_->Read(response); }
  // Fails the test if the stream ends or nothing comes.
  DeltaDiscoveryResponse Read() {
    DeltaDiscoveryResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << "stream ended: " << Finish().error_message();
    return response;
  }
  DeltaDiscoveryResponse ReadAndAck() {
    DeltaDiscoveryResponse response = Read();
    Ack(response);
    return response;
  }
  // Nothing else was sent on this stream up to now.
  void ExpectSilence() {
    std::string ghost = "no/such-" + std::to_string(++ghosts_);
    DeltaDiscoveryRequest request;
    request.set_type_url(kIpSetType);
    request.add_resource_names_subscribe(ghost);
    Send(request);
    DeltaDiscoveryResponse response = ReadAndAck();
    EXPECT_EQ(response.resources_size(), 0) << response.ShortDebugString();
    EXPECT_THAT(response.removed_resources(), ElementsAre(ghost));
  }
  void HalfClose() { stream_->WritesDone(); }
  grpc::Status Finish() {
    DeltaDiscoveryResponse rest;
    while (stream_->Read(&rest)) continue;
    grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<DeltaDiscoveryRequest, DeltaDiscoveryResponse>> stream_;
  int ghosts_ = 0;
};

inline v1::WorkloadBundle BundleIn(const DeltaDiscoveryResponse& response) {
  v1::WorkloadBundle bundle;
  EXPECT_EQ(response.resources_size(), 1);
  if (response.resources_size() == 1) {
    EXPECT_TRUE(response.resources(0).resource().UnpackTo(&bundle));
  }
  return bundle;
}

class DiscoveryServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/discovery_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    Start();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    store_ = *InventoryStore::Open(directory_ + "/inventory.db");
    inventory_ = std::make_unique<Inventory>(clock_);
    inventory_->Remember(*store_->Load());
    config_ = std::make_unique<model::CurrentConfig>();
    if (published_) config_->Publish(published_);
    service_ = std::make_unique<DiscoveryService>(
        *config_, *inventory_, clock_, logger_, refusals_, options_,
        [this](const std::vector<Agent>& agents) { EXPECT_TRUE(store_->Save(agents).ok()); });
    std::string address = "unix:" + directory_ + "/grpc.sock";
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(64 << 20);  // as the program has it
    builder.RegisterService(service_.get());
    status_service_ = std::make_unique<ClientStatusService>(*inventory_);
    builder.RegisterService(status_service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
    channel_ = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    stub_ = AggregatedDiscoveryService::NewStub(channel_);
  }
  void Stop() {
    if (!server_) return;
    service_->Shutdown();
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    service_.reset();
    config_.reset();
    inventory_.reset();
    store_.reset();
  }

  void Publish(uint64_t revision, std::vector<v1::Document> documents) {
    auto state = std::make_shared<model::ConfigState>();
    state->revision = revision;
    state->view = std::make_shared<const bundle::ConfigView>(std::move(documents));
    published_ = state;
    config_->Publish(state);
  }

  // The agent as ListAgents shows it, once `condition` holds.
  v1::AgentState WaitForAgent(const std::string& name,
                              const std::function<bool(const v1::AgentState&)>& condition) {
    v1::AgentState found;
    WaitFor([&] {
      for (const v1::AgentState& agent : inventory_->ListAgents()) {
        if (agent.name() != name) continue;
        found = agent;
        return condition(agent);
      }
      return false;
    });
    return found;
  }
  static void WaitFor(const std::function<bool()>& condition) {
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain";
      std::this_thread::yield();
    }
  }

  const Node echo_ = MakeNode("shop/echo", "sidecar", "10.32.1.205");
  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  security::Refusals refusals_{clock_, logger_};
  std::string directory_;
  // A test that needs others sets them and calls Stop and Start.
  DiscoveryOptions options_{.cache = {.quiet = 5ms, .limit = 100ms}};
  std::shared_ptr<const model::ConfigState> published_;
  std::unique_ptr<InventoryStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<model::CurrentConfig> config_;
  std::unique_ptr<DiscoveryService> service_;
  std::unique_ptr<ClientStatusService> status_service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<AggregatedDiscoveryService::Stub> stub_;
};

}  // namespace whence::discovery

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_DISCOVERY_DISCOVERY_FIXTURE_H_
