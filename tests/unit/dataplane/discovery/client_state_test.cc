#include "dataplane/discovery/client_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace whence::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

Node TestNode() {
  Node node;
  node.set_id("shop/echo");
  return node;
}

// Resources as (name, version).
Response MakeResponse(const char* type, const std::string& nonce,
                      const std::vector<std::pair<std::string, std::string>>& resources,
                      const std::vector<std::string>& removed = {}) {
  Response response;
  response.set_type_url(type);
  response.set_nonce(nonce);
  for (const auto& [name, version] : resources) {
    auto* resource = response.add_resources();
    resource->set_name(name);
    resource->set_version(version);
    resource->mutable_resource()->set_type_url(type);
    resource->mutable_resource()->set_value(name + "@" + version);
  }
  for (const std::string& name : removed) response.add_removed_resources(name);
  return response;
}

class ClientStateTest : public testing::Test {
 protected:
  ClientStateTest() { state_.Subscribe(kBundleType, {"shop/echo"}); }

  std::string VersionOf(const std::string& name) {
    for (const ResourceStatus& status : state_.Resources()) {
      if (status.name == name) return status.version;
    }
    return "not wanted";
  }

  ClientState state_;
};

TEST_F(ClientStateTest, BeginsAStreamWithNodeAndSubscription) {
  const std::vector<Request> requests = state_.OpenStream(TestNode());
  ASSERT_EQ(requests.size(), 1u) << "no request without names: that would be a wildcard";
  EXPECT_EQ(requests[0].node().id(), "shop/echo");
  EXPECT_EQ(requests[0].type_url(), kBundleType);
  EXPECT_THAT(requests[0].resource_names_subscribe(), ElementsAre("shop/echo"));
  EXPECT_TRUE(requests[0].initial_resource_versions().empty());
}

TEST_F(ClientStateTest, AcknowledgesWithTheNonceOnly) {
  state_.OpenStream(TestNode());
  const Received received = state_.Receive(MakeResponse(kBundleType, "n1", {{"shop/echo", "v1"}}));
  ASSERT_EQ(received.resources.size(), 1u);
  EXPECT_EQ(received.resources[0].value, "shop/echo@v1");
  EXPECT_EQ(VersionOf("shop/echo"), "") << "received is not accepted";
  const std::optional<Request> ack = state_.Answer(received, {});
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->response_nonce(), "n1");
  EXPECT_FALSE(ack->has_error_detail());
  EXPECT_FALSE(ack->has_node());
  EXPECT_EQ(VersionOf("shop/echo"), "v1");
}

TEST_F(ClientStateTest, RefusesWithTheReasonAndKeepsTheLastGood) {
  state_.OpenStream(TestNode());
  state_.Answer(state_.Receive(MakeResponse(kBundleType, "n1", {{"shop/echo", "v1"}})), {});
  const std::optional<Request> nack =
      state_.Answer(state_.Receive(MakeResponse(kBundleType, "n2", {{"shop/echo", "v2"}})),
                    {{"shop/echo", "policies[0]: bad CIDR"}});
  ASSERT_TRUE(nack.has_value());
  EXPECT_EQ(nack->response_nonce(), "n2");
  EXPECT_EQ(nack->error_detail().code(), 3);
  EXPECT_EQ(nack->error_detail().message(), "WorkloadBundle \"shop/echo\": policies[0]: bad CIDR");
  const std::vector<ResourceStatus> resources = state_.Resources();
  ASSERT_EQ(resources.size(), 1u);
  EXPECT_EQ(resources[0].version, "v1");
  EXPECT_EQ(resources[0].refused_version, "v2");
  EXPECT_EQ(resources[0].error, "policies[0]: bad CIDR");

  state_.Answer(state_.Receive(MakeResponse(kBundleType, "n3", {{"shop/echo", "v3"}})), {});
  EXPECT_EQ(state_.Resources()[0].version, "v3");
  EXPECT_EQ(state_.Resources()[0].error, "") << "a good version ends the refusal";
}

TEST_F(ClientStateTest, OneBadResourceDoesNotHoldBackTheOthers) {
  state_.Subscribe(kIpSetType, {"a/good", "b/bad", "c/bad"});
  state_.OpenStream(TestNode());
  const Received received = state_.Receive(
      MakeResponse(kIpSetType, "n1", {{"a/good", "1"}, {"b/bad", "1"}, {"c/bad", "1"}}));
  const std::optional<Request> nack =
      state_.Answer(received, {{"b/bad", "prefix 40"}, {"c/bad", "odd length"}});
  ASSERT_TRUE(nack.has_value());
  EXPECT_EQ(nack->error_detail().message(),
            "IpSetResource \"b/bad\": prefix 40; IpSetResource \"c/bad\": odd length");
  EXPECT_EQ(VersionOf("a/good"), "1");
  EXPECT_EQ(VersionOf("b/bad"), "");
}

TEST_F(ClientStateTest, ReconnectsWithVersionsAndAllSubscriptions) {
  state_.Subscribe(kIpSetType, {"a/one", "b/two"});
  state_.OpenStream(TestNode());
  state_.Answer(state_.Receive(MakeResponse(kBundleType, "n1", {{"shop/echo", "v1"}})), {});
  state_.Answer(state_.Receive(MakeResponse(kIpSetType, "n1", {{"a/one", "7"}})), {});
  state_.Answer(state_.Receive(MakeResponse(kBundleType, "n2", {{"shop/echo", "v2"}})),
                {{"shop/echo", "no"}});
  state_.CloseStream();

  const std::vector<Request> requests = state_.OpenStream(TestNode());
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].type_url(), kBundleType);
  EXPECT_TRUE(requests[0].has_node());
  EXPECT_THAT(requests[0].initial_resource_versions(), ElementsAre(Pair("shop/echo", "v1")))
      << "not the refused one";
  EXPECT_FALSE(requests[1].has_node());
  EXPECT_THAT(requests[1].resource_names_subscribe(), UnorderedElementsAre("a/one", "b/two"));
  EXPECT_THAT(requests[1].initial_resource_versions(), ElementsAre(Pair("a/one", "7")));
  for (const Request& request : requests)
    EXPECT_EQ(request.response_nonce(), "") << "nonces die with their stream";
}

TEST_F(ClientStateTest, NamesRestoredVersionsInTheFirstRequestOfALateType) {
  state_.Restore(kIpSetType, "a/one", "7");
  state_.OpenStream(TestNode());
  const std::optional<Request> request = state_.Subscribe(kIpSetType, {"a/one"});
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->initial_resource_versions(), ElementsAre(Pair("a/one", "7")));
}

TEST_F(ClientStateTest, TellsOnlyTheDifferenceOfSubscriptions) {
  state_.OpenStream(TestNode());
  std::optional<Request> request = state_.Subscribe(kIpSetType, {"a/one", "b/two"});
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->resource_names_subscribe(), ElementsAre("a/one", "b/two"));
  EXPECT_FALSE(state_.Subscribe(kIpSetType, {"a/one", "b/two"}).has_value());
  request = state_.Subscribe(kIpSetType, {"b/two", "c/three"});
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->resource_names_subscribe(), ElementsAre("c/three"));
  EXPECT_THAT(request->resource_names_unsubscribe(), ElementsAre("a/one"));
  EXPECT_THAT(request->initial_resource_versions(), IsEmpty()) << "first request of a type only";
}

TEST_F(ClientStateTest, ForgetsTheVersionOfWhatItNoLongerWants) {
  state_.Subscribe(kIpSetType, {"a/one"});
  state_.OpenStream(TestNode());
  state_.Answer(state_.Receive(MakeResponse(kIpSetType, "n1", {{"a/one", "7"}})), {});
  state_.Subscribe(kIpSetType, {});
  state_.Subscribe(kIpSetType, {"a/one"});
  state_.CloseStream();
  const std::vector<Request> requests = state_.OpenStream(TestNode());
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_THAT(requests[1].initial_resource_versions(), IsEmpty()) << "we would not get it again";
}

TEST_F(ClientStateTest, ForgetsTheVersionOfWhatWasRemoved) {
  state_.Subscribe(kIpSetType, {"a/one"});
  state_.OpenStream(TestNode());
  state_.Answer(state_.Receive(MakeResponse(kIpSetType, "n1", {{"a/one", "7"}})), {});
  const Received received =
      state_.Receive(MakeResponse(kIpSetType, "n2", {}, {"a/one", "not/ours"}));
  EXPECT_THAT(received.removed, ElementsAre("a/one"));
  const std::optional<Request> ack = state_.Answer(received, {});
  ASSERT_TRUE(ack.has_value());
  EXPECT_FALSE(ack->has_error_detail());
  EXPECT_EQ(VersionOf("a/one"), "");
}

TEST_F(ClientStateTest, RefusesWhatIsWrongInItself) {
  state_.Subscribe(kIpSetType, {"a/twice", "b/type", "c/empty", "d/good"});
  state_.OpenStream(TestNode());
  Response response = MakeResponse(
      kIpSetType, "n1",
      {{"a/twice", "1"}, {"a/twice", "2"}, {"b/type", "1"}, {"c/empty", "1"}, {"d/good", "1"}});
  response.mutable_resources(2)->mutable_resource()->set_type_url(kBundleType);
  response.mutable_resources(3)->clear_resource();
  const Received received = state_.Receive(response);
  ASSERT_EQ(received.resources.size(), 1u);
  EXPECT_EQ(received.resources[0].name, "d/good");
  const std::optional<Request> nack = state_.Answer(received, {});
  ASSERT_TRUE(nack.has_value());
  for (const char* name : {"a/twice", "b/type", "c/empty"})
    EXPECT_THAT(nack->error_detail().message(), HasSubstr(name));
  EXPECT_EQ(VersionOf("d/good"), "1");
}

TEST_F(ClientStateTest, TakesAHeartbeatForNoUpdate) {
  state_.OpenStream(TestNode());
  state_.Answer(state_.Receive(MakeResponse(kBundleType, "n1", {{"shop/echo", "v1"}})), {});
  Response response = MakeResponse(kBundleType, "n2", {{"shop/echo", "v1"}});
  response.mutable_resources(0)->clear_resource();
  const Received received = state_.Receive(response);
  EXPECT_THAT(received.resources, IsEmpty());
  const std::optional<Request> ack = state_.Answer(received, {});
  ASSERT_TRUE(ack.has_value());
  EXPECT_FALSE(ack->has_error_detail());
  EXPECT_EQ(VersionOf("shop/echo"), "v1");
}

TEST_F(ClientStateTest, IgnoresWhatCrossedAnUnsubscribing) {
  state_.Subscribe(kIpSetType, {"a/one", "b/two"});
  state_.OpenStream(TestNode());
  state_.Subscribe(kIpSetType, {"b/two"});
  const Received received =
      state_.Receive(MakeResponse(kIpSetType, "n1", {{"a/one", "1"}, {"b/two", "1"}}));
  ASSERT_EQ(received.resources.size(), 1u);
  const std::optional<Request> ack = state_.Answer(received, {});
  ASSERT_TRUE(ack.has_value());
  EXPECT_FALSE(ack->has_error_detail());
}

TEST_F(ClientStateTest, AnswersNothingOnAnotherStream) {
  state_.OpenStream(TestNode());
  const Received received = state_.Receive(MakeResponse(kBundleType, "n1", {{"shop/echo", "v1"}}));
  state_.CloseStream();
  EXPECT_FALSE(state_.Answer(received, {}).has_value()) << "no stream";
  state_.OpenStream(TestNode());
  EXPECT_FALSE(state_.Answer(received, {}).has_value()) << "its nonce means nothing on the next";
  EXPECT_EQ(VersionOf("shop/echo"), "v1") << "but we run it";
}

TEST_F(ClientStateTest, RefusesATypeItNeverAskedFor) {
  state_.OpenStream(TestNode());
  const Received received =
      state_.Receive(MakeResponse("type.googleapis.com/other.Thing", "n1", {{"x", "1"}}));
  EXPECT_NE(received.fault, "");
  const std::optional<Request> nack = state_.Answer(received, {});
  ASSERT_TRUE(nack.has_value());
  EXPECT_TRUE(nack->has_error_detail());
  EXPECT_EQ(nack->response_nonce(), "n1");
}

TEST_F(ClientStateTest, AsksAgainForWhatIsSubscribedOnly) {
  EXPECT_FALSE(state_.AskAgain(kBundleType, "shop/echo").has_value()) << "no stream";
  state_.OpenStream(TestNode());
  EXPECT_FALSE(state_.AskAgain(kBundleType, "other/name").has_value());
  const std::optional<Request> request = state_.AskAgain(kBundleType, "shop/echo");
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->resource_names_subscribe(), ElementsAre("shop/echo"));
}

}  // namespace
}  // namespace whence::discovery
