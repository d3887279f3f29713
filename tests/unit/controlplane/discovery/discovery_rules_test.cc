// The rules of the xDS transport protocol, and of serving it to many, each with the test that holds it.
// Scripts are rows of kDeltaScripts and kStateScripts in subscription_test.cc, quoted by their names.
//
//   Requests and answers
//   a first request without a node id, or a request without a type: refused    DiscoveryServiceTest.RefusesAFirst…
//   a type that is not served is ignored and counted                           DiscoveryServiceTest.ServesAnAgentItsOwn…
//   an ACK is no request: no change, no response                               "an ACK is not a new subscription"
//   a NACK is known by its error detail, not by versions                       "a refused version is not sent again…"
//   a refused resource does not hold up others; a version refused is not       "one refused resource does not hold up…"
//     sent again; accepted and refused version are both kept                   DeltaSubscriptionTest.KeepsTheAccepted…
//   a nonce is of one stream and one type, and no version                      NoncesAreOfOneStreamAndOneType
//   state of the world: a stale nonce supersedes the request                   "a stale nonce is superseded, names and all"
//   incremental: a stale nonce changes subscriptions all the same              "subscription changes count although…"
//   the nonce of a first request is of an earlier stream                       "the nonce of the first request belongs to…"
//   an unsubscription inside an ACK counts                                     "an unsubscription inside an ACK counts"
//   one unanswered response per type, then the latest state only               "one unacknowledged response, then the latest…"
//                                                                              DiscoveryServiceTest.ManyChangesCost…
//   what cannot be read is an error, not the client's end of the stream        WhatCannotBeReadIsAnErrorAndNoFarewell
//
//   Names and wildcards
//   no names at first: everything; names do not end that                       "no names at first: everything, and later…"
//   once named, an empty list is nothing                                       "names first, then nothing: no wildcard…"
//   "*" beside names, given up, and back                                       "an explicit wildcard beside names",
//                                                                              "after unsubscribing the wildcard it may…"
//   under a wildcard an unsubscribed name is answered                          "under a wildcard an unsubscribed name is…"
//   gRPC's own clients never mean everything                                   GrpcsOwnClientsNeverMeanEverything
//   a name is always answered; a missing one too, and sent when it appears     "a name subscribed again is answered even…",
//                                                                              "a name that does not exist is answered…"
//   unsubscribing what was not subscribed is harmless                          "unsubscribing what was never subscribed…"
//   the wildcard is what concerns this node                                    TheWildcardIsWhatConcernsTheNode
//
//   Reconnect and restart
//   what the client has is not sent again, what is gone is removed             "reconnect: …" (five of them)
//   versions are of the content, the same after a restart                      DiscoveryServiceTest.AfterARestart…
//   not loaded is not empty                                                    DiscoveryServiceTest.RefusesWhile…
//   an empty wildcard is answered                                              "an empty wildcard is answered once"
//
//   Order and load
//   bundles before sets, sets are taken away last                              DiscoveryServiceTest.AfterARestart…
//   a burst of changes is one; a change for ever is pushed all the same        DebounceTest.WaitsForQuietButNotForEver
//   streams begin at a bounded rate                                            StreamsBeginAtABoundedRate
//   responses are split by size                                                DeltaSubscriptionTest.SplitsByBytes…
//   requests are bounded: bytes, names, rate                                   WhatCannotBeRead…, TooManyRequestsEndTheStream,
//                                                                              DeltaSubscriptionTest.BoundsNamesAndTexts
//   what is large is encoded once, for all who have it in common               ReplicasShareTheBytesOfTheirBundle,
//                                                                              IpSetStepsTest.ManyStreamsShareOneStep
//   reading never waits for writing                                            ReadingNeverWaitsForWriting
//   a client that lives and does not answer is ended                           AStuckClientIsEnded
//
//   Who may see what
//   the node must be the certificate's; foreign resources are refused by name  MutualTlsTest (security), OthersBundlesAre…
//   the newest stream of a node wins                                           DiscoveryServiceTest.TheNewestStream…
//   client status: per resource, with refusals                                 ClientStatusTest, ClientStatusIsServed
#include <google/protobuf/util/message_differencer.h>

#include "common/bundle/bundle_builder.h"
#include "envoy/service/status/v3/csds.grpc.pb.h"
#include "tests/unit/controlplane/discovery/discovery_fixture.h"

namespace whence::discovery {
namespace {

using envoy::service::status::v3::ClientStatusDiscoveryService;
using envoy::service::status::v3::ClientStatusRequest;
using envoy::service::status::v3::ClientStatusResponse;

class DiscoveryRulesTest : public DiscoveryServiceTest {
 protected:
  void Restart() {
    Stop();
    Start();
  }
  void PublishAndLoad(uint64_t revision, std::vector<v1::Document> documents) {
    Publish(revision, std::move(documents));
    WaitFor([&] { return service_->State() && service_->State()->revision == revision; });
  }
  // Of half a megabyte: more than a stream's flow control lets through unread.
  static v1::Document LargePolicy(int number) {
    v1::Document document = Policy("large", "echo", "");
    auto* source =
        document.mutable_ip_policy()->mutable_rules(0)->mutable_from(0)->mutable_source();
    for (int i = 0; i < 40000; ++i) {
      source->add_remote_ip_blocks("10." + std::to_string(number) + "." + std::to_string(i >> 8) +
                                   "." + std::to_string(i & 255));
    }
    return document;
  }
};

TEST_F(DiscoveryRulesTest, NoncesAreOfOneStreamAndOneType) {
  PublishAndLoad(1, {Policy("edge", "echo", "", "bad"), Set("bad", "6.6.6.0/24")});
  DeltaClient one(*stub_);
  one.Subscribe(echo_, kBundleType, {"shop/echo"});
  const DeltaDiscoveryResponse bundle = one.ReadAndAck();
  one.Subscribe({}, kIpSetType, {"shop/bad"});
  const DeltaDiscoveryResponse set = one.ReadAndAck();
  DeltaClient two(*stub_);
  two.Subscribe(MakeNode("shop/two", "sidecar", "10.0.0.2"), kBundleType, {"shop/two"});
  const DeltaDiscoveryResponse other = two.ReadAndAck();
  const std::set<std::string> nonces = {bundle.nonce(), set.nonce(), other.nonce()};
  EXPECT_EQ(nonces.size(), 3u);
  EXPECT_EQ(nonces.count(bundle.resources(0).version()), 0u);
  EXPECT_EQ(nonces.count(bundle.system_version_info()), 0u);
}

TEST_F(DiscoveryRulesTest, WhatCannotBeReadIsAnErrorAndNoFarewell) {
  DeltaDiscoveryRequest deep;
  google::protobuf::Struct* level = deep.mutable_node()->mutable_metadata();
  for (int i = 0; i < 1000; ++i) level = (*level->mutable_fields())["x"].mutable_struct_value();
  DeltaDiscoveryRequest large, enormous;
  large.set_type_url(std::string(5 << 20, 'a'));
  enormous.set_type_url(std::string(70 << 20, 'a'));
  struct Row {
    const char* name;
    const DeltaDiscoveryRequest& request;
    grpc::StatusCode want;
  };
  PublishAndLoad(1, {});
  for (const Row& row :
       {Row{"too deep", deep, grpc::StatusCode::INVALID_ARGUMENT},
        Row{"too large for discovery", large, grpc::StatusCode::RESOURCE_EXHAUSTED},
        Row{"too large for gRPC", enormous, grpc::StatusCode::RESOURCE_EXHAUSTED}}) {
    SCOPED_TRACE(row.name);
    DeltaClient client(*stub_);
    client.Subscribe(echo_, kBundleType, {"shop/echo"});
    client.ReadAndAck();
    client.Send(row.request);
    EXPECT_EQ(client.Finish().error_code(), row.want);
    WaitFor([this] { return inventory_->connected() == 0; });
    // An agent that says farewell is gone at once. This one lingers, and is looked for.
    EXPECT_EQ(inventory_->View()->workloads.size(), 1u);
    EXPECT_TRUE(inventory_->NextExpiry());
  }
}

TEST_F(DiscoveryRulesTest, GrpcsOwnClientsNeverMeanEverything) {
  PublishAndLoad(1, {});
  Node node = echo_;
  node.set_user_agent_name("gRPC C-core linux");
  DeltaClient client(*stub_);
  client.Subscribe(node, kBundleType, {});
  client.ExpectSilence();
  client.Subscribe({}, kBundleType, {"shop/echo"});
  EXPECT_EQ(client.ReadAndAck().resources_size(), 1);
}

TEST_F(DiscoveryRulesTest, TheWildcardIsWhatConcernsTheNode) {
  PublishAndLoad(1, {Policy("edge", "echo", "", "mine"), Set("mine", "6.6.6.0/24"),
                     Policy("other", "else", "", "theirs"), Set("theirs", "7.7.7.0/24")});
  DeltaClient other(*stub_);
  other.Subscribe(MakeNode("shop/else", "sidecar", "10.0.0.2"), kBundleType, {});
  EXPECT_EQ(other.ReadAndAck().resources(0).name(), "shop/else");
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {});
  DeltaDiscoveryResponse response = client.ReadAndAck();
  ASSERT_EQ(response.resources_size(), 1);
  EXPECT_EQ(response.resources(0).name(), "shop/echo");
  client.Subscribe({}, kIpSetType, {"*"});
  response = client.ReadAndAck();
  ASSERT_EQ(response.resources_size(), 1);
  EXPECT_EQ(response.resources(0).name(), "shop/mine");
}

TEST_F(DiscoveryRulesTest, OthersBundlesAreRefusedByNameWhetherTheyExistOrNot) {
  PublishAndLoad(1, {});
  DeltaClient other(*stub_);
  other.Subscribe(MakeNode("shop/else", "sidecar", "10.0.0.2"), kBundleType, {});
  other.ReadAndAck();
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/else", "shop/ghost"});
  const DeltaDiscoveryResponse response = client.ReadAndAck();
  EXPECT_EQ(response.resources_size(), 0);
  ASSERT_EQ(response.resource_errors_size(), 2);
  for (const auto& error : response.resource_errors()) {
    EXPECT_EQ(error.error_detail().code(), static_cast<int>(absl::StatusCode::kPermissionDenied));
  }
  EXPECT_EQ(refusals_.total(), 2u);
}

TEST_F(DiscoveryRulesTest, StreamsBeginAtABoundedRate) {
  options_.streams_per_second = 2;
  Restart();
  PublishAndLoad(1, {});
  std::vector<std::unique_ptr<DeltaClient>> clients;
  int served = 0, deferred = 0;
  // However slow this is, sixty do not begin in the time that thirty seconds' worth of them take.
  for (int i = 0; i < 60 && deferred == 0; ++i) {
    clients.push_back(std::make_unique<DeltaClient>(*stub_));
    clients.back()->Subscribe(MakeNode("shop/a" + std::to_string(i), "sidecar", "10.0.0.1"),
                              kBundleType, {});
    DeltaDiscoveryResponse response;
    if (clients.back()->TryRead(&response)) {
      ++served;
    } else {
      const grpc::Status status = clients.back()->Finish();
      EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
      EXPECT_NE(status.error_message().find("come back"), std::string::npos);
      ++deferred;
    }
  }
  EXPECT_GE(served, 2);
  EXPECT_EQ(deferred, 1);
  EXPECT_EQ(service_->counters().streams_deferred.load(), 1u);
  // Later there is room again.
  WaitFor([this] {
    DeltaClient client(*stub_);
    client.Subscribe(echo_, kBundleType, {});
    DeltaDiscoveryResponse response;
    return client.TryRead(&response);
  });
}

TEST_F(DiscoveryRulesTest, TooManyRequestsEndTheStream) {
  options_.requests_per_second = 0.001;
  options_.requests_burst = 10;
  Restart();
  PublishAndLoad(1, {});
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  client.ReadAndAck();
  // Answers do not count.
  for (uint64_t revision = 2; revision < 20; ++revision) {
    Publish(revision, {Policy("edge", "echo", "10.0." + std::to_string(revision) + ".0/24")});
    client.ReadAndAck();
  }
  DeltaDiscoveryRequest request;
  request.set_type_url(kIpSetType);
  request.add_resource_names_unsubscribe("shop/x");
  for (int i = 0; i < 11 && client.TrySend(request); ++i) continue;
  EXPECT_EQ(client.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(DiscoveryRulesTest, ReadingNeverWaitsForWriting) {
  PublishAndLoad(1, {LargePolicy(1)});
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  WaitFor([this] { return service_->counters().responses.load() == 1; });
  // The response is not read, so it cannot be written to its end.
  for (int i = 0; i < 20; ++i) client.Subscribe({}, kIpSetType, {"shop/x" + std::to_string(i)});
  WaitFor([this] { return service_->counters().requests.load() == 21; });
  EXPECT_EQ(client.ReadAndAck().resources_size(), 1);
}

TEST_F(DiscoveryRulesTest, AStuckClientIsEnded) {
  options_.answer_limit = 0s;
  Restart();
  PublishAndLoad(1, {});
  {
    DeltaClient silent(*stub_);
    silent.Subscribe(echo_, kBundleType, {"shop/echo"});
    silent.Read();
    // A client that answers is not ended, however often there is news.
    Publish(2, {Policy("edge", "echo", "10.0.0.0/24")});
    EXPECT_EQ(silent.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  PublishAndLoad(3, {LargePolicy(3)});
  DeltaClient deaf(*stub_);
  deaf.Subscribe(echo_, kBundleType, {"shop/echo"});
  WaitFor([this] { return service_->counters().responses.load() == 2; });
  Publish(4, {LargePolicy(4)});
  WaitFor([this] { return inventory_->connected() == 0; });  // though nothing was read
  EXPECT_EQ(inventory_->View()->workloads.size(), 1u);
}

TEST_F(DiscoveryRulesTest, ReplicasShareTheBytesOfTheirBundle) {
  Publish(5, {Policy("edge", "echo", "2.2.2.0/24")});
  Inventory inventory(clock_);
  for (const char* name : {"a", "b", "gateway"}) {
    Node node = MakeNode(std::string("shop/") + name, name[0] == 'g' ? "gateway" : "sidecar",
                         std::string("10.0.0.") + std::to_string(name[0]));
    auto& fields = *node.mutable_metadata()->mutable_fields();
    (*fields["labels"].mutable_struct_value()->mutable_fields())["app"].set_string_value("echo");
    fields["node"].set_string_value(std::string("node-of-") + name);
    inventory.Connect(*ReadNode(node), nullptr);
  }
  const auto view = inventory.View();
  const auto state = BuildResourceState(*published_, *view, nullptr, "secret");
  const Resource& a = state->workloads.at("shop/a").bundles.at("shop/a");
  const Resource& b = state->workloads.at("shop/b").bundles.at("shop/b");
  const Resource& gateway = state->workloads.at("shop/gateway").bundles.at("shop/gateway");
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_NE(a.bytes, gateway.bytes);
  EXPECT_NE(a.head, b.head);
  EXPECT_NE(a.version, b.version);
  // And yet each is what Build says.
  for (const bundle::Workload& self : view->workloads) {
    const std::string id = self.namespace_ + "/" + self.name;
    const Resource& resource = state->workloads.at(id).bundles.at(id);
    v1::WorkloadBundle served;
    ASSERT_TRUE(served.ParseFromString(resource.head + *resource.bytes));
    v1::WorkloadBundle want = bundle::Build(*published_->view, view->workloads, self, "secret");
    EXPECT_FALSE(want.handover_key().empty());
    want.set_revision(5);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(served, want))
        << served.ShortDebugString() << "\n"
        << want.ShortDebugString();
  }
  // The next state keeps the bytes of what did not change, of whichever revision.
  Publish(6, {Policy("edge", "echo", "2.2.2.0/24"), Policy("other", "else", "3.3.3.0/24")});
  const auto next = BuildResourceState(*published_, *view, state.get(), "secret");
  EXPECT_EQ(next->workloads.at("shop/a").bundles.at("shop/a").bytes, a.bytes);
  EXPECT_EQ(next->workloads.at("shop/a").bundles.at("shop/a").version, a.version);
  // Another secret is another bundle, though nothing in the common part tells.
  const auto other = BuildResourceState(*published_, *view, state.get(), "another");
  EXPECT_NE(other->workloads.at("shop/a").bundles.at("shop/a").version, a.version);
}

TEST_F(DiscoveryRulesTest, ClientStatusIsServed) {
  PublishAndLoad(1, {Policy("edge", "echo", "", "bad"), Set("bad", "6.6.6.0/24")});
  DeltaClient client(*stub_);
  client.Subscribe(echo_, kBundleType, {"shop/echo"});
  client.Nack(client.Read(), "shop/echo: not like this");
  client.Subscribe({}, kIpSetType, {"shop/bad", "shop/ghost"});
  client.ReadAndAck();
  client.ExpectSilence();  // and so the answers have arrived
  auto stub = ClientStatusDiscoveryService::NewStub(channel_);
  ClientStatusRequest request;
  request.add_node_matchers()->mutable_node_id()->set_exact("shop/echo");
  const auto check = [](const ClientStatusResponse& response) {
    ASSERT_EQ(response.config_size(), 1);
    std::map<std::string, envoy::service::status::v3::ClientConfig::GenericXdsConfig> by_name;
    for (const auto& shown : response.config(0).generic_xds_configs())
      by_name[shown.name()] = shown;
    EXPECT_EQ(by_name["shop/echo"].config_status(), envoy::service::status::v3::ERROR);
    EXPECT_EQ(by_name["shop/echo"].error_state().details(), "shop/echo: not like this");
    EXPECT_GT(by_name["shop/echo"].error_state().last_update_attempt().seconds(), 0);
    EXPECT_EQ(by_name["shop/bad"].config_status(), envoy::service::status::v3::SYNCED);
    EXPECT_EQ(by_name["shop/ghost"].config_status(), envoy::service::status::v3::NOT_SENT);
    EXPECT_EQ(by_name["shop/ghost"].client_status(), envoy::admin::v3::DOES_NOT_EXIST);
  };
  {
    grpc::ClientContext context;
    ClientStatusResponse response;
    ASSERT_TRUE(stub->FetchClientStatus(&context, request, &response).ok());
    check(response);
  }
  {
    grpc::ClientContext context;
    auto stream = stub->StreamClientStatus(&context);
    for (int i = 0; i < 2; ++i) {
      ClientStatusResponse response;
      ASSERT_TRUE(stream->Write(request));
      ASSERT_TRUE(stream->Read(&response));
      check(response);
    }
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
  {
    grpc::ClientContext context;
    ClientStatusResponse response;
    request.mutable_node()->set_id(std::string(100 << 10, 'a'));
    EXPECT_EQ(stub->FetchClientStatus(&context, request, &response).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
}

}  // namespace
}  // namespace whence::discovery
