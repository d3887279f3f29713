// What agents are served, end to end. The rules of the protocol one by one: discovery_rules_test.cc.
#include "tests/unit/controlplane/discovery/discovery_fixture.h"

namespace whence::discovery {
namespace {

TEST_F(DiscoveryServiceTest, RemembersWhatIsProvenOfAnAgent) {
  Agent certified = *ReadNode(MakeNode("shop/a", "sidecar", "10.0.0.1"));
  Believe(v1::AgentProof(), &certified);
  const Agent local = *ReadNode(MakeNode("shop/b", "sidecar", "10.0.0.2"));
  ASSERT_TRUE(store_->Save({certified, local}).ok());
  const auto loaded = store_->Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 2u);
  EXPECT_TRUE(SameWorkload((*loaded)[0].workload, certified.workload));
  EXPECT_FALSE((*loaded)[0].workload.IsProven(certified.workload.addresses[0]));
  EXPECT_TRUE(SameWorkload((*loaded)[1].workload, local.workload));
  EXPECT_FALSE((*loaded)[1].proof.has_value());
}

TEST_F(DiscoveryServiceTest, RefusesWhileTheConfigurationIsNotLoaded) {
  DeltaClient client(*stub_);
  EXPECT_EQ(client.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DiscoveryServiceTest, RefusesAFirstRequestWithoutANodeOrAType) {
  Publish(1, {});
  WaitFor([this] { return service_->State() != nullptr; });
  {
    DeltaClient client(*stub_);
    client.Subscribe(Node(), kBundleType, {"shop/echo"});
    EXPECT_EQ(client.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  DeltaClient client(*stub_);
  client.Subscribe(echo_, "", {"shop/echo"});
  EXPECT_EQ(client.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(DiscoveryServiceTest, ServesAnAgentItsOwnBundleAndItsIpSetsOnly) {
  Publish(1, {Policy("edge", "echo", "2.2.2.0/24", "bad"), Set("bad", "6.6.6.0/24"),
              Policy("other", "else", "", "secret"), Set("secret", "7.7.7.0/24")});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo", "shop/else"});
  DeltaDiscoveryResponse response = client.ReadAndAck();
  EXPECT_THAT(response.removed_resources(), ElementsAre("shop/else"));
  v1::WorkloadBundle bundle = BundleIn(response);
  EXPECT_EQ(bundle.workload(), "echo");
  ASSERT_EQ(bundle.policies_size(), 1);
  EXPECT_EQ(bundle.policies(0).name(), "edge");
  EXPECT_THAT(bundle.ip_sets(), ElementsAre("shop/bad"));
  EXPECT_EQ(bundle.revision(), 1u);

  client.Subscribe({}, kIpSetType, {"shop/bad", "shop/secret"});
  response = client.ReadAndAck();
  ASSERT_EQ(response.resources_size(), 1);
  EXPECT_EQ(response.resources(0).name(), "shop/bad");
  EXPECT_THAT(response.removed_resources(), ElementsAre("shop/secret"));

  client.Subscribe({}, "type.googleapis.com/envoy.config.cluster.v3.Cluster", {});
  client.ExpectSilence();
  EXPECT_EQ(service_->counters().unknown_types.load(), 1u);
  v1::AgentState agent =
      WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 1 && a.lag_us() == 0; });
  EXPECT_EQ(agent.sent_revision(), 1u);
}

TEST_F(DiscoveryServiceTest, PushesChangesAndNothingElse) {
  Publish(1, {Policy("edge", "echo", "2.2.2.0/24")});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  std::string version = client.ReadAndAck().resources(0).version();
  // A revision that does not concern the agent is acknowledged by what it runs already.
  Publish(2, {Policy("edge", "echo", "2.2.2.0/24"), Policy("other", "else", "3.3.3.0/24")});
  WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 2; });
  client.ExpectSilence();
  Publish(3, {Policy("edge", "echo", "4.4.4.0/24")});
  DeltaDiscoveryResponse response = client.Read();
  EXPECT_EQ(response.system_version_info(), "3");
  EXPECT_NE(response.resources(0).version(), version);
  v1::AgentState agent = WaitForAgent("echo", [](auto& a) { return a.sent_revision() == 3; });
  EXPECT_EQ(agent.acked_revision(), 2u);
  EXPECT_GT(agent.lag_us(), 0);
  client.Ack(response);
  WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 3; });
}

TEST_F(DiscoveryServiceTest, ARefusalIsShownAndTheVersionNotSentAgain) {
  Publish(1, {Policy("edge", "echo", "2.2.2.0/24")});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  std::string good = client.ReadAndAck().resources(0).version();
  Publish(2, {Policy("edge", "echo", "5.5.5.0/24")});
  DeltaDiscoveryResponse bad = client.Read();
  client.Nack(bad, "WorkloadBundle shop/echo: policies[0]: cannot be used");
  v1::AgentState agent =
      WaitForAgent("echo", [](auto& a) { return !a.resources(0).refused_version().empty(); });
  EXPECT_EQ(agent.resources(0).type(), "WorkloadBundle");
  EXPECT_EQ(agent.resources(0).acked_version(), good);
  EXPECT_EQ(agent.resources(0).refused_version(), bad.resources(0).version());
  EXPECT_EQ(agent.resources(0).error(), "WorkloadBundle shop/echo: policies[0]: cannot be used");
  EXPECT_EQ(agent.acked_revision(), 1u);
  Publish(3, {Policy("edge", "echo", "5.5.5.0/24"), Policy("other", "else", "3.3.3.0/24")});
  WaitFor([this] { return service_->State()->revision == 3; });
  client.ExpectSilence();
  Publish(4, {Policy("edge", "echo", "2.2.2.0/24")});
  EXPECT_EQ(client.ReadAndAck().resources(0).version(), good);
  WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 4; });
}

TEST_F(DiscoveryServiceTest, AGatewaysAddressReachesSidecarsAndLeavesWithIt) {
  Publish(1, {});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  EXPECT_THAT(BundleIn(client.ReadAndAck()).trust().mesh_gateways(), IsEmpty());
  DeltaClient gateway(*stub_);
  gateway.Subscribe(MakeNode("shop/gateway", "gateway", "10.32.1.221"), kBundleType,
                    {"shop/gateway"});
  gateway.ReadAndAck();
  EXPECT_THAT(BundleIn(client.ReadAndAck()).trust().mesh_gateways(), ElementsAre("10.32.1.221"));
  // In good order: at once. (A broken stream lingers: see InventoryTest.)
  gateway.HalfClose();
  EXPECT_TRUE(gateway.Finish().ok());
  EXPECT_THAT(BundleIn(client.ReadAndAck()).trust().mesh_gateways(), IsEmpty());
}

TEST_F(DiscoveryServiceTest, ABrokenStreamKeepsItsPlace) {
  Publish(1, {});
  WaitFor([this] { return service_->State() != nullptr; });
  {
    DeltaClient gateway(*stub_);
    gateway.Subscribe(MakeNode("shop/gateway", "gateway", "10.32.1.221"), kBundleType,
                      {"shop/gateway"});
    gateway.ReadAndAck();
  }  // cancelled
  WaitFor([this] { return inventory_->connected() == 0; });
  EXPECT_EQ(inventory_->View()->workloads.size(), 1u);
}

TEST_F(DiscoveryServiceTest, TheNewestStreamOfANodeWins) {
  Publish(1, {});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient first(*stub_);
  first.Subscribe(echo_, kBundleType, {"shop/echo"});
  first.ReadAndAck();
  DeltaClient second(*stub_);
  second.Subscribe(echo_, kBundleType, {"shop/echo"});
  second.ReadAndAck();
  EXPECT_EQ(first.Finish().error_code(), grpc::StatusCode::ABORTED);
  second.ExpectSilence();
  EXPECT_EQ(inventory_->conflicts(), 1u);
}

TEST_F(DiscoveryServiceTest, AfterARestartNothingUnchangedIsSentAgainAndDeletionsAre) {
  std::vector<v1::Document> documents = {Policy("edge", "echo", "2.2.2.0/24", "bad"),
                                         Set("bad", "6.6.6.0/24")};
  Publish(7, documents);
  WaitFor([this] { return service_->State() != nullptr; });
  Node gateway_node = MakeNode("shop/gateway", "gateway", "10.32.1.221");
  std::map<std::string, std::string> bundle_versions, set_versions;
  {
    DeltaClient gateway(*stub_);
    gateway.Subscribe(gateway_node, kBundleType, {"shop/gateway"});
    gateway.ReadAndAck();
    DeltaClient client(*stub_);
    client.Subscribe(echo_, kBundleType, {"shop/echo"});
    DeltaDiscoveryResponse response = client.ReadAndAck();
    EXPECT_THAT(BundleIn(response).trust().mesh_gateways(), ElementsAre("10.32.1.221"));
    bundle_versions["shop/echo"] = response.resources(0).version();
    client.Subscribe({}, kIpSetType, {"shop/bad"});
    set_versions["shop/bad"] = client.ReadAndAck().resources(0).version();
    WaitFor([this] { return store_->Load()->size() == 2; });
    Stop();
    EXPECT_EQ(client.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  Start();
  {
    // The gateway is not back yet, and still the bundle is the one that names it.
    DeltaClient client(*stub_);
    client.Subscribe(echo_, kBundleType, {"shop/echo"}, bundle_versions);
    client.Subscribe({}, kIpSetType, {"shop/bad"}, set_versions);
    client.ExpectSilence();
    DeltaClient gateway(*stub_);
    gateway.Subscribe(gateway_node, kBundleType, {"shop/gateway"});
    gateway.ReadAndAck();
    client.ExpectSilence();
    EXPECT_EQ(service_->counters().resources_sent.load(), 1u);  // the gateway's, which asked anew
    v1::AgentState agent = WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 7; });
    EXPECT_EQ(agent.resources(0).acked_version(), bundle_versions["shop/echo"]);
  }
  Stop();
  // While it was down, the policy and its set were deleted.
  published_ = nullptr;
  Start();
  Publish(8, {});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"}, bundle_versions);
  DeltaDiscoveryResponse response = client.Read();
  EXPECT_EQ(BundleIn(response).policies_size(), 0);
  client.Subscribe({}, kIpSetType, {"shop/bad"}, set_versions);
  // Sets go only once the bundle that no longer names them was answered.
  client.Ack(response);
  response = client.Read();
  EXPECT_EQ(response.type_url(), kIpSetType);
  EXPECT_THAT(response.removed_resources(), ElementsAre("shop/bad"));
}

// The agent switches when it has a bundle and the sets of just that bundle. A set of a later revision
// would keep it waiting for ever, or have it mix two revisions.
TEST_F(DiscoveryServiceTest, SetsComeFromTheRevisionOfTheBundleThatWaitsForThem) {
  const auto publish = [this](uint64_t revision) {
    const std::string cidr = "10." + std::to_string(revision) + ".0.0/16";
    Publish(revision, {Policy("edge", "echo", cidr, "bad"), Set("bad", cidr)});
  };
  const auto wanted = [](const DeltaDiscoveryResponse& response) {
    return BundleIn(response).ip_set_versions().at("shop/bad");
  };
  publish(1);
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  const DeltaDiscoveryResponse bundle1 = client.ReadAndAck();
  client.Subscribe({}, kIpSetType, {"shop/bad"});
  const DeltaDiscoveryResponse set1 = client.Read();
  EXPECT_EQ(set1.resources(0).version(), wanted(bundle1));

  publish(2);
  const DeltaDiscoveryResponse bundle2 = client.Read();
  publish(3);
  WaitFor([this] { return service_->State()->revision == 3; });
  client.Ack(set1);
  const DeltaDiscoveryResponse set2 = client.ReadAndAck();
  EXPECT_EQ(set2.resources(0).version(), wanted(bundle2));
  EXPECT_EQ(set2.system_version_info(), "2");

  client.Ack(bundle2);
  const DeltaDiscoveryResponse bundle3 = client.Read();
  EXPECT_EQ(bundle3.system_version_info(), "3");
  const DeltaDiscoveryResponse set3 = client.ReadAndAck();
  EXPECT_EQ(set3.resources(0).version(), wanted(bundle3));
  client.Ack(bundle3);
  WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 3; });
}

// A set that changes by itself makes a bundle as well, or nobody would ask for it.
TEST_F(DiscoveryServiceTest, ABundleNamesTheVersionsOfItsSets) {
  const auto publish = [this](uint64_t revision, const std::string& cidr) {
    Publish(revision, {Policy("edge", "echo", "2.2.2.0/24", "bad"), Set("bad", cidr)});
  };
  publish(1, "6.6.6.0/24");
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  const DeltaDiscoveryResponse first = client.ReadAndAck();
  publish(2, "7.7.7.0/24");
  const DeltaDiscoveryResponse second = client.ReadAndAck();
  EXPECT_NE(second.resources(0).version(), first.resources(0).version());
  EXPECT_NE(BundleIn(second).ip_set_versions().at("shop/bad"),
            BundleIn(first).ip_set_versions().at("shop/bad"));
}

TEST_F(DiscoveryServiceTest, ManyChangesCostASlowClientOneResponse) {
  Publish(1, {Policy("edge", "echo", "10.0.0.0/24")});
  WaitFor([this] { return service_->State() != nullptr; });
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  DeltaDiscoveryResponse first = client.Read();
  for (uint64_t revision = 2; revision <= 40; ++revision) {
    Publish(revision, {Policy("edge", "echo", "10.0." + std::to_string(revision) + ".0/24")});
  }
  WaitFor([this] { return service_->State()->revision == 40; });
  EXPECT_EQ(service_->counters().responses.load(), 1u);
  client.Ack(first);
  EXPECT_EQ(BundleIn(client.ReadAndAck()).revision(), 40u);
  client.ExpectSilence();
  EXPECT_EQ(service_->counters().responses.load(), 3u);  // with the silence's
}

TEST_F(DiscoveryServiceTest, StateOfTheWorldServesTheSame) {
  Publish(1, {Policy("edge", "echo", "2.2.2.0/24")});
  WaitFor([this] { return service_->State() != nullptr; });
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 30s);
  auto stream = stub_->StreamAggregatedResources(&context);
  DiscoveryRequest request;
  request.mutable_node()->set_id("shop/echo");  // a foreign client: an id and nothing else
  auto& fields = *request.mutable_node()->mutable_metadata()->mutable_fields();
  (*fields["labels"].mutable_struct_value()->mutable_fields())["app"].set_string_value("echo");
  request.set_type_url(kBundleType);
  stream->Write(request);
  DiscoveryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.resources_size(), 1);
  v1::WorkloadBundle bundle;
  ASSERT_TRUE(response.resources(0).UnpackTo(&bundle));
  EXPECT_EQ(bundle.policies_size(), 1);
  request.Clear();
  request.set_type_url(kBundleType);
  request.set_version_info(response.version_info());
  request.set_response_nonce(response.nonce());
  stream->Write(request);
  WaitForAgent("echo", [](auto& a) { return a.acked_revision() == 1; });
  Publish(2, {});
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(response.resources(0).UnpackTo(&bundle));
  EXPECT_EQ(bundle.policies_size(), 0);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace whence::discovery
