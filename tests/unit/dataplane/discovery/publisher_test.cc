#include "dataplane/discovery/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/net/cidr.h"

namespace whence::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class QuietLog final : public Log {
 public:
  void Write(Level, std::string_view message) override { lines += std::string(message) + "\n"; }
  std::string lines;
};

// A bundle whose one policy denies a range, or the members of `sets`.
v1::WorkloadBundle Bundle(const std::string& cidr, const std::vector<std::string>& sets = {}) {
  v1::WorkloadBundle bundle;
  bundle.set_workload("echo");
  bundle.set_namespace_("shop");
  bundle.set_role(v1::SIDECAR);
  v1::PolicyResource* policy = bundle.add_policies();
  policy->set_namespace_("shop");
  policy->set_name("edge");
  policy->mutable_spec()->set_action(v1::IpPolicySpec::DENY);
  v1::PolicySource* source = policy->mutable_spec()->add_rules()->add_from()->mutable_source();
  source->add_ip_blocks(cidr);
  for (const std::string& set : sets) {
    source->add_ip_sets(set);
    bundle.add_ip_sets(set);
  }
  return bundle;
}

v1::IpSetResource IpSet(const std::string& name, const std::string& cidr) {
  return wire::EncodeIpSet(name, {*net::Cidr::Parse(cidr)});
}

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() {
    std::string pattern = testing::TempDir() + "/publisher_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
    store_ = std::make_unique<LastGoodStore>(directory_);
    publisher_ = MakePublisher("shop/echo");
  }
  ~PublisherTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Publisher> MakePublisher(const std::string& name) {
    return std::make_unique<Publisher>(
        name,
        [this](std::shared_ptr<const snapshot::Snapshot> next) {
          if (sink_status_.ok()) published_.push_back(std::move(next));
          return sink_status_;
        },
        [this](std::shared_ptr<const ActiveConfig> active) { active_ = std::move(active); },
        store_.get(), log_);
  }

  // What a server would send; nonces count up.
  std::vector<Request> Send(
      const char* type,
      const std::vector<std::tuple<std::string, std::string, std::string>>& resources,
      const std::vector<std::string>& removed = {}) {
    Response response;
    response.set_type_url(type);
    response.set_nonce(std::to_string(++nonce_));
    for (const auto& [name, version, value] : resources) {
      auto* resource = response.add_resources();
      resource->set_name(name);
      resource->set_version(version);
      resource->mutable_resource()->set_type_url(type);
      resource->mutable_resource()->set_value(value);
    }
    for (const std::string& name : removed) response.add_removed_resources(name);
    return publisher_->Take(response);
  }
  std::vector<Request> SendBundle(const std::string& version, const v1::WorkloadBundle& bundle) {
    return Send(kBundleType, {{"shop/echo", version, bundle.SerializeAsString()}});
  }
  std::vector<Request> SendSet(const std::string& name, const std::string& version,
                               const std::string& cidr) {
    return Send(kIpSetType, {{name, version, IpSet(name, cidr).SerializeAsString()}});
  }

  std::string directory_;
  QuietLog log_;
  absl::Status sink_status_;
  std::vector<std::shared_ptr<const snapshot::Snapshot>> published_;
  std::shared_ptr<const ActiveConfig> active_;
  std::unique_ptr<LastGoodStore> store_;
  std::unique_ptr<Publisher> publisher_;
  int nonce_ = 0;
};

MATCHER_P2(Acks, type, nonce, "") {
  return arg.type_url() == type && arg.response_nonce() == nonce && !arg.has_error_detail();
}
MATCHER_P3(Nacks, type, nonce, text, "") {
  return arg.type_url() == type && arg.response_nonce() == nonce && arg.has_error_detail() &&
         arg.error_detail().message().find(text) != std::string::npos;
}
MATCHER_P2(Subscribes, type, name, "") {
  return arg.type_url() == type && arg.response_nonce().empty() &&
         arg.resource_names_subscribe_size() == 1 && arg.resource_names_subscribe(0) == name;
}
MATCHER_P2(Unsubscribes, type, name, "") {
  return arg.type_url() == type && arg.resource_names_unsubscribe_size() == 1 &&
         arg.resource_names_unsubscribe(0) == name;
}

TEST_F(PublisherTest, PublishesBeforeItAcknowledges) {
  publisher_->OpenStream({});
  const std::vector<Request> requests = SendBundle("v1", Bundle("1.2.3.4"));
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(published_[0]->version, "v1");
  EXPECT_EQ(active_->version, "v1");
  EXPECT_THAT(requests, ElementsAre(Acks(kBundleType, "1")));
}

TEST_F(PublisherTest, RefusesABadBundleAndKeepsTheGoodOne) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4"));
  EXPECT_THAT(SendBundle("v2", Bundle("1.2.3.4/99")),
              ElementsAre(Nacks(kBundleType, "2", "1.2.3.4/99")));
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(active_->version, "v1");
  EXPECT_THAT(Send(kBundleType, {{"shop/echo", "v3", "\xff\xff"}}),
              ElementsAre(Nacks(kBundleType, "3", "cannot be parsed")));
  EXPECT_THAT(SendBundle("v4", Bundle("5.6.7.8")), ElementsAre(Acks(kBundleType, "4")));
  EXPECT_EQ(active_->version, "v4");
}

TEST_F(PublisherTest, RefusesWhatTheDataPlaneCannotRun) {
  publisher_->OpenStream({});
  sink_status_ = absl::UnavailableError("port 80 is taken");
  EXPECT_THAT(SendBundle("v1", Bundle("1.2.3.4")),
              ElementsAre(Nacks(kBundleType, "1", "port 80 is taken")));
  EXPECT_EQ(active_, nullptr);
}

TEST_F(PublisherTest, WaitsForTheIpSetsOfABundle) {
  publisher_->OpenStream({});
  EXPECT_THAT(SendBundle("v1", Bundle("1.2.3.4", {"shop/a", "shop/b"})),
              ElementsAre(testing::Property(&Request::resource_names_subscribe_size, 2)))
      << "subscribed, not answered";
  EXPECT_THAT(SendSet("shop/a", "1", "10.0.0.0/8"), ElementsAre(Acks(kIpSetType, "2")));
  EXPECT_THAT(published_, IsEmpty());
  EXPECT_THAT(SendSet("shop/b", "1", "11.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "3"), Acks(kBundleType, "1")));
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/b"), "1");
}

TEST_F(PublisherTest, ASetThatChangesMakesANewSnapshot) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "1", "10.0.0.0/8");
  EXPECT_THAT(SendSet("shop/a", "2", "11.0.0.0/8"), ElementsAre(Acks(kIpSetType, "3")));
  EXPECT_EQ(published_.size(), 2u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "2");
}

TEST_F(PublisherTest, ABadSetIsRefusedAndTheOldOneStays) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "1", "10.0.0.0/8");
  v1::IpSetResource bad;
  bad.set_name("shop/a");
  bad.set_v4("123");  // not a multiple of 5
  EXPECT_THAT(Send(kIpSetType, {{"shop/a", "2", bad.SerializeAsString()}}),
              ElementsAre(Nacks(kIpSetType, "3", "shop/a")));
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "1");
}

TEST_F(PublisherTest, RefusesABundleWhoseSetDoesNotExistAndAsksAgainWhenItDoes) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  EXPECT_THAT(Send(kIpSetType, {}, {"shop/a"}),
              ElementsAre(Acks(kIpSetType, "2"), Nacks(kBundleType, "1", "shop/a")));
  EXPECT_THAT(published_, IsEmpty());
  EXPECT_THAT(SendSet("shop/a", "1", "10.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "3"), Subscribes(kBundleType, "shop/echo")));
  const std::vector<Request> requests = SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  ASSERT_FALSE(requests.empty());
  EXPECT_EQ(published_.size(), 1u);
}

TEST_F(PublisherTest, ANewBundleAsksForASetThatWasMissing) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  Send(kIpSetType, {}, {"shop/a"});
  EXPECT_THAT(SendBundle("v2", Bundle("5.6.7.8", {"shop/a"})),
              ElementsAre(Subscribes(kIpSetType, "shop/a")))
      << "still subscribed, so the server would say nothing by itself";
}

TEST_F(PublisherTest, LetsGoOfSetsThatAreNoLongerNeeded) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "1", "10.0.0.0/8");
  EXPECT_THAT(SendBundle("v2", Bundle("1.2.3.4")),
              ElementsAre(Acks(kBundleType, "3"), Unsubscribes(kIpSetType, "shop/a")));
}

TEST_F(PublisherTest, ARemovedSetStaysWhileTheActiveBundleNeedsIt) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "1", "10.0.0.0/8");
  EXPECT_THAT(Send(kIpSetType, {}, {"shop/a"}), ElementsAre(Acks(kIpSetType, "3")));
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(active_->version, "v1");
}

TEST_F(PublisherTest, StartsFromTheLastGoodConfigurationAndNamesItsVersions) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "7", "10.0.0.0/8");
  SendBundle("v2", Bundle("1.2.3.4/99", {"shop/a"}));  // refused: not what is kept

  published_.clear();
  publisher_ = MakePublisher("shop/echo");
  ASSERT_TRUE(publisher_->StartFromLastGood());
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(published_[0]->version, "v1");
  EXPECT_TRUE(active_->from_last_good);
  EXPECT_THAT(log_.lines, HasSubstr("last good configuration from disk"));
  const std::vector<Request> requests = publisher_->OpenStream({});
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].initial_resource_versions().at("shop/echo"), "v1");
  EXPECT_EQ(requests[1].initial_resource_versions().at("shop/a"), "7");
  EXPECT_THAT(SendBundle("v3", Bundle("5.6.7.8", {"shop/a"})), ElementsAre(Acks(kBundleType, "4")))
      << "its set was on disk";
  EXPECT_FALSE(active_->from_last_good);
}

// Saving the active bundle must not remove what a waiting one has received already.
TEST_F(PublisherTest, KeepsTheSetsOfAWaitingBundleOnDisk) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4", {"shop/a"}));
  SendSet("shop/a", "1", "10.0.0.0/8");
  SendBundle("v2", Bundle("1.2.3.4", {"shop/a", "shop/b", "shop/c"}));
  SendSet("shop/b", "1", "11.0.0.0/8");
  SendSet("shop/a", "2", "10.0.0.0/9");
  EXPECT_EQ(active_->version, "v1") << "v2 waits for its last set";
  SendSet("shop/c", "1", "12.0.0.0/8");
  ASSERT_EQ(active_->version, "v2");

  publisher_ = MakePublisher("shop/echo");
  ASSERT_TRUE(publisher_->StartFromLastGood()) << log_.lines;
  EXPECT_EQ(active_->version, "v2");
  EXPECT_EQ(active_->ip_set_versions, (std::map<std::string, std::string>{
                                          {"shop/a", "2"}, {"shop/b", "1"}, {"shop/c", "1"}}));
  const auto files = std::filesystem::directory_iterator(directory_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 4) << "and no set that is not needed";
}

TEST_F(PublisherTest, DoesNotRunAnothersConfiguration) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4"));
  published_.clear();
  publisher_ = MakePublisher("shop/other");
  EXPECT_FALSE(publisher_->StartFromLastGood());
  EXPECT_THAT(published_, IsEmpty());
}

TEST_F(PublisherTest, AStreamThatEndsTakesItsHalfBundleWithIt) {
  publisher_->OpenStream({});
  SendBundle("v1", Bundle("1.2.3.4"));
  SendBundle("v2", Bundle("1.2.3.4", {"shop/a"}));  // its set never comes
  publisher_->CloseStream();
  const std::vector<Request> requests = publisher_->OpenStream({});
  ASSERT_EQ(requests.size(), 1u) << "the set of the lost bundle is not wanted";
  EXPECT_EQ(requests[0].initial_resource_versions().at("shop/echo"), "v1");
}

}  // namespace
}  // namespace whence::discovery
