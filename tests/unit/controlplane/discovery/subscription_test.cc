#include "controlplane/discovery/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace whence::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ResourceMap Resources(const std::map<std::string, std::string>& versions, size_t bytes = 10) {
  ResourceMap map;
  for (const auto& [name, version] : versions) {
    map[name] = {version, std::make_shared<const std::string>(bytes, 'x')};
  }
  return map;
}

// "a@1 b@2 -c": what a push sends and removes, in one line. "silent" for none.
template <typename Push>
std::string Render(const std::optional<Push>& push) {
  if (!push) return "silent";
  std::string text;
  auto add = [&text](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
  for (const auto& [name, resource] : push->resources) add(name + "@" + resource.version);
  if constexpr (requires { push->removed; }) {
    for (const std::string& name : push->removed) add("-" + name);
  }
  return text.empty() ? "empty" : text;
}

// ---- Incremental --------------------------------------------------------------------------------

// A stream as a script: each step is one request (or none) and the world at that time, and what the
// server then says. `nonce` "last" is the nonce of the last push, so an ACK; anything else is
// stale.
struct DeltaStep {
  std::optional<DeltaRequest> request;
  std::map<std::string, std::string> world;
  std::string want;
};

struct DeltaScript {
  const char* name;
  std::vector<DeltaStep> steps;
};

DeltaRequest Ask(std::vector<std::string> subscribe, std::vector<std::string> unsubscribe = {},
                 std::map<std::string, std::string> initial = {}) {
  return {.subscribe = std::move(subscribe),
          .unsubscribe = std::move(unsubscribe),
          .initial_versions = std::move(initial)};
}
DeltaRequest Ack(std::vector<std::string> subscribe = {},
                 std::vector<std::string> unsubscribe = {}) {
  DeltaRequest request = Ask(std::move(subscribe), std::move(unsubscribe));
  request.nonce = "last";
  return request;
}
DeltaRequest Nack(std::string error) {
  DeltaRequest request = Ack();
  request.error = std::move(error);
  return request;
}
DeltaRequest Stale(DeltaRequest request) {
  request.nonce = "from-another-time";
  return request;
}

const DeltaScript kDeltaScripts[] = {
    {"an ACK is not a new subscription",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {Ack(), {{"a", "1"}}, "silent"},
      {{}, {{"a", "1"}}, "silent"}}},
    {"before the first request nothing is sent", {{{}, {{"a", "1"}}, "silent"}}},
    {"subscription changes count although the nonce is stale",
     {{Ask({"a"}), {{"a", "1"}, {"b", "1"}}, "a@1"},
      {Stale(Ask({"b"}, {"a"})), {{"a", "2"}, {"b", "1"}}, "silent"},  // n1 is still unanswered
      {Ack(), {{"a", "2"}, {"b", "1"}}, "b@1"}}},
    {"a stale nonce is no ACK",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {Stale(Ask({})), {{"a", "2"}}, "silent"},
      {Ack(), {{"a", "2"}}, "a@2"}}},
    {"the nonce of the first request belongs to an earlier stream",
     {{Stale(Ask({"a"})), {{"a", "1"}}, "a@1"}, {Ack(), {{"a", "1"}}, "silent"}}},
    {"a NACK in the first request is no answer to anything",
     {{[] {
         auto r = Ask({"a"});
         r.error = "old";
         return r;
       }(),
       {{"a", "1"}},
       "a@1"}}},
    {"one unacknowledged response, then the latest state only",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {{}, {{"a", "2"}}, "silent"},
      {{}, {{"a", "3"}}, "silent"},
      {Ack(), {{"a", "4"}}, "a@4"}}},
    {"an unsubscription inside an ACK counts",
     {{Ask({"a", "b"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Ack({}, {"b"}), {{"a", "1"}, {"b", "2"}}, "silent"},
      {{}, {{"a", "2"}, {"b", "3"}}, "a@2"}}},
    {"reconnect: what the client has is not sent again",
     {{Ask({"a", "b"}, {}, {{"a", "1"}, {"b", "1"}}), {{"a", "1"}, {"b", "1"}}, "silent"},
      {{}, {{"a", "1"}, {"b", "2"}}, "b@2"}}},
    {"reconnect: what changed is sent, what was deleted is removed",
     {{Ask({"a", "b", "c"}, {}, {{"a", "1"}, {"b", "1"}, {"c", "1"}}),
       {{"a", "1"}, {"b", "2"}},
       "b@2 -c"}}},
    {"reconnect: removed although not subscribed any more",
     {{Ask({"a"}, {}, {{"a", "1"}, {"old", "1"}}), {{"a", "1"}}, "-old"}}},
    {"reconnect of a wildcard removes what is gone",
     {{Ask({}, {}, {{"a", "1"}, {"b", "1"}}), {{"a", "1"}, {"c", "1"}}, "c@1 -b"}}},
    {"initial versions in a later request mean nothing",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {[] {
         auto r = Ack({"b"});
         r.initial_versions = {{"b", "1"}};
         return r;
       }(),
       {{"a", "1"}, {"b", "1"}},
       "b@1"}}},
    {"a name that does not exist is answered at once, and sent when it appears",
     {{Ask({"a"}), {}, "-a"}, {Ack(), {}, "silent"}, {{}, {{"a", "1"}}, "a@1"}}},
    {"a name subscribed again is answered even if nothing changed",
     {{Ask({"a", "b"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Ack({"a"}), {{"a", "1"}, {"b", "1"}}, "a@1"},
      {Ack(), {{"a", "1"}, {"b", "1"}}, "silent"}}},
    {"a missing name subscribed again is answered again",
     {{Ask({"a"}), {}, "-a"}, {Ack({"a"}), {}, "-a"}, {Ack(), {}, "silent"}}},
    {"a deletion is sent once",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"}, {Ack(), {}, "-a"}, {Ack(), {}, "silent"}}},
    {"a refused version is not sent again until it changes",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {Nack("a: bad"), {{"a", "1"}}, "silent"},
      {{}, {{"a", "1"}}, "silent"},
      {{}, {{"a", "2"}}, "a@2"}}},
    {"a refused version that comes back after another was taken is tried once more",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"},
      {Nack("a: bad"), {{"a", "2"}}, "a@2"},
      {Ack(), {{"a", "1"}}, "a@1"},
      {Nack("a: bad"), {{"a", "1"}}, "silent"},
      {{}, {{"a", "1"}}, "silent"}}},
    {"a refused version is forgotten with its resource",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"}, {Nack("a: bad"), {}, "-a"}, {Ack(), {{"a", "1"}}, "a@1"}}},
    {"a refused version is forgotten with the wildcard that covered it",
     {{Ask({}), {{"a", "1"}}, "a@1"},
      {Nack("a: bad"), {{"a", "1"}}, "silent"},
      {Ask({}, {"*"}), {{"a", "1"}}, "silent"},
      {Ask({"*"}), {{"a", "1"}}, "a@1"}}},
    {"one refused resource does not hold up the others",
     {{Ask({"a", "b"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Nack("a: bad"), {{"a", "1"}, {"b", "2"}}, "b@2"}}},
    {"no names at first: everything, and later names do not end that",
     {{Ask({}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Ack({"a"}), {{"a", "1"}, {"b", "2"}, {"c", "1"}}, "a@1 b@2 c@1"}}},
    {"an explicit wildcard beside names",
     {{Ask({"*", "a"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Ack({}, {"*"}), {{"a", "2"}, {"b", "2"}}, "a@2"}}},
    {"under a wildcard an unsubscribed name is answered: it is still covered",
     {{Ask({"*", "a", "x"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1 -x"},
      {Ack({}, {"a", "x"}), {{"a", "1"}, {"b", "1"}}, "a@1 -x"}}},
    {"names first, then nothing: no wildcard comes of it",
     {{Ask({"a"}), {{"a", "1"}, {"b", "1"}}, "a@1"},
      {Ack({}, {"a"}), {{"a", "2"}, {"b", "1"}}, "silent"},
      {Ask({}), {{"a", "3"}, {"b", "1"}}, "silent"}}},
    {"after unsubscribing the wildcard it may come back",
     {{Ask({}), {{"a", "1"}}, "a@1"},
      {Ack({}, {"*"}), {{"a", "2"}}, "silent"},
      {Ask({"*"}), {{"a", "2"}}, "a@2"}}},
    {"unsubscribing what was never subscribed is harmless",
     {{Ask({"a"}), {{"a", "1"}}, "a@1"}, {Ack({}, {"ghost"}), {{"a", "1"}}, "silent"}}},
    {"subscribed and unsubscribed before the answer: no answer",
     {{Ask({"a"}), {{"a", "1"}, {"b", "1"}}, "a@1"},
      {Ask({"b"}), {{"a", "1"}, {"b", "1"}}, "silent"},
      {Ask({}, {"b"}), {{"a", "1"}, {"b", "1"}}, "silent"},
      {Ack(), {{"a", "1"}, {"b", "1"}}, "silent"}}},
    {"an empty wildcard is answered once",
     {{Ask({}), {}, "empty"}, {Ack(), {}, "silent"}, {{}, {{"a", "1"}}, "a@1"}}},
};

TEST(DeltaSubscriptionTest, FollowsTheScripts) {
  for (const DeltaScript& script : kDeltaScripts) {
    DeltaSubscription subscription("s1-");
    std::string last_nonce;
    int number = 0;
    for (const DeltaStep& step : script.steps) {
      SCOPED_TRACE(testing::Message() << script.name << ", step " << ++number);
      if (step.request) {
        DeltaRequest request = *step.request;
        if (request.nonce == "last") request.nonce = last_nonce;
        ASSERT_TRUE(subscription.OnRequest(request).ok());
      }
      std::optional<DeltaPush> push = subscription.Next(Resources(step.world));
      EXPECT_EQ(Render(push), step.want);
      if (push) {
        EXPECT_NE(push->nonce, last_nonce);
        last_nonce = push->nonce;
      }
    }
  }
}

TEST(DeltaSubscriptionTest, NoncesAreNewForEveryResponseEvenAtOneVersion) {
  DeltaSubscription subscription("stream7.bundle-");
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"})).ok());
  auto first = subscription.Next(Resources({{"a", "1"}}));
  ASSERT_TRUE(first);
  EXPECT_NE(first->nonce, "1");
  EXPECT_EQ(first->nonce.rfind("stream7.bundle-", 0), 0u);
  DeltaRequest again = Ask({"a"});
  again.nonce = first->nonce;
  ASSERT_TRUE(subscription.OnRequest(again).ok());
  auto second = subscription.Next(Resources({{"a", "1"}}));
  ASSERT_TRUE(second);
  EXPECT_NE(first->nonce, second->nonce);
}

TEST(DeltaSubscriptionTest, SplitsByBytesAndRemovesLast) {
  DeltaSubscription subscription("", {.max_response_bytes = 250});
  ASSERT_TRUE(subscription.OnRequest(Ask({"a", "b", "c", "gone"})).ok());
  ResourceMap world = Resources({{"a", "1"}, {"b", "1"}, {"c", "1"}}, 100);
  std::vector<std::string> parts;
  while (auto push = subscription.Next(world)) {
    parts.push_back(Render(push));
    DeltaRequest ack;
    ack.nonce = push->nonce;
    ASSERT_TRUE(subscription.OnRequest(ack).ok());
  }
  EXPECT_THAT(parts, ElementsAre("a@1 b@1", "c@1 -gone"));
}

TEST(DeltaSubscriptionTest, OneResourceLargerThanAResponseIsStillSent) {
  DeltaSubscription subscription("", {.max_response_bytes = 10});
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"})).ok());
  EXPECT_EQ(Render(subscription.Next(Resources({{"a", "1"}}, 1000))), "a@1");
}

TEST(DeltaSubscriptionTest, HeldRemovalsComeWhenReleased) {
  DeltaSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Ask({"a", "b"}, {}, {{"a", "1"}, {"b", "1"}})).ok());
  EXPECT_EQ(Render(subscription.Next(Resources({{"a", "1"}}), true)), "silent");
  EXPECT_EQ(Render(subscription.Next(Resources({{"a", "1"}}), false)), "-b");
}

TEST(DeltaSubscriptionTest, KeepsTheAcceptedBesideTheRefusedVersion) {
  DeltaSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Ask({"ns/a", "ns/b"}, {}, {{"ns/a", "1"}})).ok());
  auto push = subscription.Next(Resources({{"ns/a", "2"}, {"ns/b", "5"}}));
  ASSERT_TRUE(push);
  ASSERT_TRUE(subscription
                  .OnRequest({.nonce = push->nonce,
                              .error = "IpSetResource ns/a: v4 is cut off. Kept the old one."})
                  .ok());
  EXPECT_EQ(subscription.refusals(), 1u);
  const ResourceProgress& a = subscription.status().at("ns/a");
  EXPECT_EQ(a.sent_version, "2");
  EXPECT_EQ(a.acked_version, "1");
  EXPECT_EQ(a.refused_version, "2");
  EXPECT_EQ(a.error, "IpSetResource ns/a: v4 is cut off. Kept the old one.");
  const ResourceProgress& b = subscription.status().at("ns/b");
  EXPECT_EQ(b.acked_version, "5");
  EXPECT_EQ(b.refused_version, "");

  push = subscription.Next(Resources({{"ns/a", "3"}, {"ns/b", "5"}}));
  ASSERT_TRUE(push);
  ASSERT_TRUE(subscription.OnRequest({.nonce = push->nonce}).ok());
  EXPECT_EQ(subscription.status().at("ns/a").acked_version, "3");
  EXPECT_EQ(subscription.status().at("ns/a").refused_version, "");
  EXPECT_EQ(subscription.status().at("ns/a").error, "");
}

// Whoever looks at the agents must never read that one runs what it has refused.
TEST(DeltaSubscriptionTest, WhatIsRefusedIsShownSoWheneverItIsCurrent) {
  DeltaSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"})).ok());
  const auto answer = [&](const std::string& version, std::optional<std::string> error) {
    const auto push = subscription.Next(Resources({{"a", version}}));
    ASSERT_TRUE(push) << version;
    ASSERT_TRUE(subscription.OnRequest({.nonce = push->nonce, .error = std::move(error)}).ok());
    EXPECT_EQ(Render(subscription.Next(Resources({{"a", version}}))), "silent");
  };
  answer("1", {});
  answer("2", "a: bad");
  answer("3", {});
  answer("2", "a: bad");
  const ResourceProgress& a = subscription.status().at("a");
  EXPECT_EQ(a.sent_version, "2");
  EXPECT_EQ(a.acked_version, "3");
  EXPECT_EQ(a.refused_version, "2");
  EXPECT_EQ(a.error, "a: bad");
}

TEST(DeltaSubscriptionTest, ARefusalThatNamesNothingRefusesAll) {
  DeltaSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Ask({"ns/a", "ns/b"})).ok());
  auto push = subscription.Next(Resources({{"ns/a", "2"}, {"ns/b", "5"}}));
  ASSERT_TRUE(push);
  // "ns/ab" and "xns/a.b" are other names.
  ASSERT_TRUE(
      subscription.OnRequest({.nonce = push->nonce, .error = "ns/ab, xns/a, ns/b.c: no"}).ok());
  EXPECT_EQ(subscription.status().at("ns/a").refused_version, "2");
  EXPECT_EQ(subscription.status().at("ns/b").refused_version, "5");
}

TEST(DeltaSubscriptionTest, BoundsNamesAndTexts) {
  SubscriptionLimits limits{.max_names = 3, .max_name_bytes = 8, .max_error_bytes = 5};
  DeltaSubscription subscription("", limits);
  EXPECT_EQ(subscription.OnRequest(Ask({"123456789"})).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(subscription.OnRequest(Ask({"a", "b", "c", "d"})).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(subscription.OnRequest(Ask({"a"}, {}, {{"a", "123456789"}})).code(),
            absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(subscription.OnRequest(Ask({"a", "b", "c"})).ok());
  EXPECT_EQ(subscription.OnRequest(Ask({"d"})).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(subscription.OnRequest(Ask({"a"})).ok());
  auto push = subscription.Next(Resources({{"a", "1"}}));
  ASSERT_TRUE(push);
  ASSERT_TRUE(subscription.OnRequest({.nonce = push->nonce, .error = "much too long"}).ok());
  EXPECT_EQ(subscription.status().at("a").error, "much ");

  // It goes on to whencectl in a protobuf string: still UTF-8 after the cut.
  push = subscription.Next(Resources({{"a", "2"}}));
  ASSERT_TRUE(push);
  ASSERT_TRUE(subscription.OnRequest({.nonce = push->nonce, .error = "\xff-üb"}).ok());
  EXPECT_EQ(subscription.status().at("a").error, "\xef\xbf\xbd-");
}

TEST(DeltaSubscriptionTest, SharesTheBytes) {
  DeltaSubscription one("1-"), two("2-");
  ResourceMap world = Resources({{"a", "1"}});
  ASSERT_TRUE(one.OnRequest(Ask({"a"})).ok());
  ASSERT_TRUE(two.OnRequest(Ask({"a"})).ok());
  EXPECT_EQ(one.Next(world)->resources[0].second.bytes, two.Next(world)->resources[0].second.bytes);
}

// ---- State of the world -------------------------------------------------------------------------

struct StateStep {
  std::optional<StateRequest> request;
  std::map<std::string, std::string> world;
  std::string want;
};
struct StateScript {
  const char* name;
  std::vector<StateStep> steps;
};

StateRequest Names(std::vector<std::string> names, std::string nonce = "last") {
  return {.names = std::move(names), .nonce = std::move(nonce)};
}
StateRequest Refuse(std::vector<std::string> names) {
  StateRequest request = Names(std::move(names));
  request.error = "bad";
  return request;
}

const StateScript kStateScripts[] = {
    {"an ACK is not a new request",
     {{Names({"a"}), {{"a", "1"}}, "a@1"}, {Names({"a"}), {{"a", "1"}}, "silent"}}},
    {"every response is complete",
     {{Names({"a", "b"}), {{"a", "1"}, {"b", "1"}, {"c", "1"}}, "a@1 b@1"},
      {Names({"a", "b"}), {{"a", "1"}, {"b", "2"}, {"c", "2"}}, "a@1 b@2"}}},
    {"one unacknowledged response",
     {{Names({"a"}), {{"a", "1"}}, "a@1"},
      {{}, {{"a", "2"}}, "silent"},
      {Names({"a"}), {{"a", "3"}}, "a@3"}}},
    {"a stale nonce is superseded, names and all",
     {{Names({"a"}), {{"a", "1"}, {"b", "1"}}, "a@1"},
      {Names({"a", "b"}, "stale"), {{"a", "1"}, {"b", "1"}}, "silent"},
      {Names({"a"}), {{"a", "1"}, {"b", "1"}}, "silent"}}},
    {"the nonce of the first request belongs to an earlier stream",
     {{Names({"a"}, "old"), {{"a", "1"}}, "a@1"}}},
    {"no names at first: everything; once named, an empty list is nothing",
     {{Names({}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Names({}), {{"a", "2"}, {"b", "1"}}, "a@2 b@1"},
      {Names({"a"}), {{"a", "2"}, {"b", "2"}}, "a@2"},  // named now: whoever names waits
      {Names({}), {{"a", "3"}, {"b", "3"}}, "silent"}}},
    {"an explicit wildcard, given up later",
     {{Names({"*"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Names({"b"}), {{"a", "2"}, {"b", "1"}}, "b@1"},
      {Names({"b"}), {{"a", "3"}, {"b", "1"}}, "silent"},
      {{}, {{"a", "3"}, {"b", "2"}}, "b@2"}}},
    {"absence is how a removal is said",
     {{Names({"a", "b"}), {{"a", "1"}, {"b", "1"}}, "a@1 b@1"},
      {Names({"a", "b"}), {{"b", "1"}}, "b@1"},
      {Names({"a", "b"}), {}, "empty"},
      {Names({"a", "b"}), {}, "silent"}}},
    {"what does not exist is answered by an empty response, once",
     {{Names({"a"}), {}, "empty"}, {Names({"a"}), {}, "silent"}, {{}, {{"a", "1"}}, "a@1"}}},
    {"a refused version is not sent again until it changes",
     {{Names({"a"}), {{"a", "1"}}, "a@1"},
      {Refuse({"a"}), {{"a", "1"}}, "silent"},
      {{}, {{"a", "2"}}, "a@2"}}},
    {"a refused version that comes back after another was taken is tried once more",
     {{Names({"a"}), {{"a", "1"}}, "a@1"},
      {Refuse({"a"}), {{"a", "2"}}, "a@2"},
      {Names({"a"}), {{"a", "1"}}, "a@1"},
      {Refuse({"a"}), {{"a", "1"}}, "silent"},
      {{}, {{"a", "1"}}, "silent"}}},
    {"a name added is answered even if nothing else changed",
     {{Names({"a"}), {{"a", "1"}}, "a@1"}, {Names({"a", "b"}), {{"a", "1"}}, "a@1"}}},
};

TEST(StateSubscriptionTest, FollowsTheScripts) {
  for (const StateScript& script : kStateScripts) {
    StateSubscription subscription("s1-");
    std::string last_nonce;
    int number = 0;
    for (const StateStep& step : script.steps) {
      SCOPED_TRACE(testing::Message() << script.name << ", step " << ++number);
      if (step.request) {
        StateRequest request = *step.request;
        if (request.nonce == "last") request.nonce = last_nonce;
        ASSERT_TRUE(subscription.OnRequest(request).ok());
      }
      std::optional<StatePush> push = subscription.Next(Resources(step.world));
      EXPECT_EQ(Render(push), step.want);
      if (push) last_nonce = push->nonce;
    }
  }
}

TEST(StateSubscriptionTest, WhatIsRefusedIsShownSoWheneverItIsCurrent) {
  StateSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Names({"a"}, "")).ok());
  const auto answer = [&](const std::string& version, std::optional<std::string> error) {
    const auto push = subscription.Next(Resources({{"a", version}}));
    ASSERT_TRUE(push) << version;
    StateRequest request = Names({"a"}, push->nonce);
    request.error = std::move(error);
    ASSERT_TRUE(subscription.OnRequest(request).ok());
    EXPECT_EQ(Render(subscription.Next(Resources({{"a", version}}))), "silent");
  };
  answer("1", {});
  answer("2", "bad");
  answer("3", {});
  answer("2", "bad");
  const ResourceProgress& a = subscription.status().at("a");
  EXPECT_EQ(a.acked_version, "3");
  EXPECT_EQ(a.refused_version, "2");
  EXPECT_EQ(a.error, "bad");
}

TEST(StateSubscriptionTest, AReconnectWithTheSameVersionIsSilentAndWithAnotherIsNot) {
  StateSubscription before("1-");
  ASSERT_TRUE(before.OnRequest(Names({"a", "b"})).ok());
  std::string version = before.Next(Resources({{"a", "1"}, {"b", "1"}}))->version_info;

  StateSubscription same("2-");
  ASSERT_TRUE(same.OnRequest({.names = {"a", "b"}, .version_info = version, .nonce = "1-1"}).ok());
  EXPECT_FALSE(same.Next(Resources({{"a", "1"}, {"b", "1"}})));
  EXPECT_EQ(same.status().at("a").acked_version, "1");
  EXPECT_EQ(Render(same.Next(Resources({{"a", "1"}, {"b", "2"}}))), "a@1 b@2");

  StateSubscription changed("3-");
  ASSERT_TRUE(changed.OnRequest({.names = {"a", "b"}, .version_info = version}).ok());
  EXPECT_EQ(Render(changed.Next(Resources({{"a", "1"}}))), "a@1");

  StateSubscription emptied("4-");
  ASSERT_TRUE(emptied.OnRequest({.names = {"a", "b"}, .version_info = version}).ok());
  EXPECT_EQ(Render(emptied.Next({})), "empty");
}

TEST(StateSubscriptionTest, HoldsAResponseThatOnlyTakesAway) {
  StateSubscription subscription("");
  ASSERT_TRUE(subscription.OnRequest(Names({"a", "b"})).ok());
  auto push = subscription.Next(Resources({{"a", "1"}, {"b", "1"}}));
  ASSERT_TRUE(push);
  ASSERT_TRUE(subscription.OnRequest(Names({"a", "b"}, push->nonce)).ok());
  EXPECT_FALSE(subscription.Next(Resources({{"a", "1"}}), true));
  EXPECT_EQ(Render(subscription.Next(Resources({{"a", "1"}}), false)), "a@1");
}

TEST(StateSubscriptionTest, BoundsNames) {
  StateSubscription subscription("", {.max_names = 2, .max_name_bytes = 4});
  EXPECT_EQ(subscription.OnRequest(Names({"12345"})).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(subscription.OnRequest(Names({"a", "b", "c"})).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(subscription.status(), IsEmpty());
}

// Two steps to every version: "v+1", then "v".
class TwoSteps final : public ResourceSteps {
 public:
  explicit TwoSteps(std::string version) : version_(std::move(version)) {}
  Resource StepFrom(const std::string& acknowledged) const override {
    asked_.push_back(acknowledged);
    const bool has_first = acknowledged == version_ + "+1";
    return {has_first ? version_ : version_ + "+1", std::make_shared<const std::string>("x"), {}};
  }
  std::shared_ptr<const std::string> Whole() const override {
    return std::make_shared<const std::string>("whole");
  }
  mutable std::vector<std::string> asked_;

 private:
  const std::string version_;
};

TEST(SubscriptionStepsTest, FollowsWhatIsAcknowledgedAndGivesUpWhatIsRefused) {
  auto steps = std::make_shared<TwoSteps>("7");
  ResourceMap world = {{"a", {"7", nullptr, steps}}};
  DeltaSubscription subscription("n");
  const auto answer = [&](std::optional<DeltaPush> push, std::optional<std::string> error = {}) {
    DeltaRequest request;
    request.nonce = push->nonce;
    request.error = std::move(error);
    ASSERT_TRUE(subscription.OnRequest(request).ok());
  };
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"}, {}, {{"a", "6"}})).ok());
  auto push = subscription.Next(world);
  EXPECT_EQ(Render(push), "a@7+1");
  EXPECT_THAT(steps->asked_, ElementsAre("6")) << "what the client came with";
  EXPECT_EQ(Render(subscription.Next(world)), "silent");
  answer(push);
  push = subscription.Next(world);
  EXPECT_EQ(Render(push), "a@7");
  answer(push);
  EXPECT_EQ(Render(subscription.Next(world)), "silent");

  steps = std::make_shared<TwoSteps>("8");
  world["a"] = {"8", nullptr, steps};
  push = subscription.Next(world);
  EXPECT_EQ(Render(push), "a@8+1");
  answer(push, "a: no");
  EXPECT_EQ(Render(subscription.Next(world)), "silent") << "a refused step is not sent again";
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"})).ok());
  push = subscription.Next(world);
  EXPECT_EQ(Render(push), "a@8+1") << "but when the client asks";
  EXPECT_THAT(steps->asked_, ElementsAre("7", "")) << "and then from the beginning";
  answer(push, "a: no");
  EXPECT_EQ(Render(subscription.Next(world)), "silent");

  // Another version is taken, and the refused one comes back: it is tried once more.
  const ResourceMap eight = world;
  world["a"] = {"9", nullptr, std::make_shared<TwoSteps>("9")};
  for (const char* step : {"a@9+1", "a@9"}) {
    push = subscription.Next(world);
    EXPECT_EQ(Render(push), step);
    answer(push);
  }
  push = subscription.Next(eight);
  EXPECT_EQ(Render(push), "a@8+1");
  answer(push, "a: no");
  EXPECT_EQ(Render(subscription.Next(eight)), "silent");
  EXPECT_EQ(subscription.status().at("a").refused_version, "8+1");
  EXPECT_EQ(subscription.status().at("a").error, "a: no");
}

TEST(SubscriptionStepsTest, ARefusedDifferenceIsNotABase) {
  auto steps = std::make_shared<TwoSteps>("8");
  ResourceMap world = {{"a", {"8", nullptr, steps}}};
  DeltaSubscription subscription("n");
  ASSERT_TRUE(subscription.OnRequest(Ask({"a"}, {}, {{"a", "7"}})).ok());
  auto push = subscription.Next(world);
  DeltaRequest nack;
  nack.nonce = push->nonce;
  nack.error = "a: no";
  ASSERT_TRUE(subscription.OnRequest(nack).ok());
  steps = std::make_shared<TwoSteps>("9");
  world["a"] = {"9", nullptr, steps};
  EXPECT_EQ(Render(subscription.Next(world)), "a@9+1");
  EXPECT_THAT(steps->asked_, ElementsAre("7"));
}

}  // namespace
}  // namespace whence::discovery
