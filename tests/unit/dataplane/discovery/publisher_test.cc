#include "dataplane/discovery/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/net/cidr.h"
#include "common/net/packed_cidrs.h"
#include "common/trust/resolver.h"

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

// One that was made with that version of the set shop/a.
v1::WorkloadBundle BundleWith(const std::string& set_version, const std::string& cidr) {
  v1::WorkloadBundle bundle = Bundle(cidr, {"shop/a"});
  (*bundle.mutable_ip_set_versions())["shop/a"] = set_version;
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

// A revision changes a policy and its set. They come one after the other and take effect at once.
TEST_F(PublisherTest, ASetTakesEffectWithTheBundleThatAsksForIt) {
  publisher_->OpenStream({});
  SendBundle("v1", BundleWith("1", "1.2.3.4"));
  EXPECT_THAT(SendSet("shop/a", "1", "10.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "2"), Acks(kBundleType, "1")));
  EXPECT_THAT(SendBundle("v2", BundleWith("2", "5.6.7.8")), IsEmpty());
  EXPECT_EQ(published_.size(), 1u) << "the new policy does not meet the old set";
  EXPECT_THAT(SendSet("shop/a", "2", "11.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "4"), Acks(kBundleType, "3")));
  EXPECT_EQ(published_.size(), 2u);
  // Nor does the old policy meet the new set, should that come first.
  EXPECT_THAT(SendSet("shop/a", "3", "12.0.0.0/8"), ElementsAre(Acks(kIpSetType, "5")));
  EXPECT_EQ(published_.size(), 2u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "2");
  EXPECT_THAT(SendBundle("v3", BundleWith("3", "5.6.7.8")), ElementsAre(Acks(kBundleType, "6")));
  EXPECT_EQ(published_.size(), 3u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "3");
}

TEST_F(PublisherTest, ARefusedBundleLeavesItsSetsWithoutEffect) {
  publisher_->OpenStream({});
  SendBundle("v1", BundleWith("1", "1.2.3.4"));
  SendSet("shop/a", "1", "10.0.0.0/8");
  SendBundle("v2", BundleWith("2", "1.2.3.4/99"));
  EXPECT_THAT(SendSet("shop/a", "2", "11.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "4"), Nacks(kBundleType, "3", "1.2.3.4/99")));
  EXPECT_EQ(published_.size(), 1u);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "1");
  {  // on disk neither
    const auto other = MakePublisher("shop/echo");
    ASSERT_TRUE(other->StartFromLastGood()) << log_.lines;
    EXPECT_EQ(active_->version, "v1");
    EXPECT_EQ(active_->ip_set_versions.at("shop/a"), "1");
  }
  // And back: what the active bundle runs with is not what is held.
  EXPECT_THAT(SendBundle("v3", BundleWith("1", "9.9.9.9")), IsEmpty());
  EXPECT_THAT(SendSet("shop/a", "1", "10.0.0.0/8"),
              ElementsAre(Acks(kIpSetType, "6"), Acks(kBundleType, "5")));
  EXPECT_EQ(active_->version, "v3");
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

// ---- Sets in parts and by difference ----

net::PackedCidrs Packed(std::initializer_list<const char*> cidrs) {
  std::vector<net::Cidr> parsed;
  for (const char* cidr : cidrs) parsed.push_back(*net::Cidr::Parse(cidr));
  return net::Pack(parsed);
}

std::string Difference(const net::PackedCidrs& from, const net::PackedCidrs& to,
                       const std::string& base) {
  const net::CidrDelta delta = net::Difference(from, to);
  v1::IpSetResource message;
  message.set_name("shop/a");
  message.set_base_version(base);
  message.set_v4(delta.added.v4);
  message.set_v6(delta.added.v6);
  message.set_removed_v4(delta.removed.v4);
  message.set_removed_v6(delta.removed.v6);
  return message.SerializeAsString();
}

std::string Part(const net::PackedCidrs& added, const std::string& base, bool more) {
  v1::IpSetResource message;
  message.ParseFromString(Difference({}, added, base));
  message.set_more(more);
  return message.SerializeAsString();
}

bool Denies(const snapshot::Snapshot& snapshot, const char* peer) {
  const net::DirectPeer direct{{*net::IpAddress::Parse(peer), 1}};
  const policy::RequestFacts facts{
      .peer = direct,
      .client = trust::Resolve(direct, {}, snapshot.topology).client,
      .destination = {{*net::IpAddress::Parse("10.9.9.9"), 80}},
  };
  return !snapshot.policies->Evaluate(facts).allowed;
}

class PublisherSetTest : public PublisherTest {
 protected:
  PublisherSetTest() {
    publisher_->OpenStream({});
    Want(first_);
    SendWhole(first_);
  }
  // A bundle that was made with this content.
  void Want(const net::PackedCidrs& set) {
    const std::string version = net::VersionOf(set);
    // Fields of one source are ANDed: all addresses, if the set holds them.
    v1::WorkloadBundle bundle = BundleWith(version, "0.0.0.0/0");
    bundle.mutable_policies(0)
        ->mutable_spec()
        ->mutable_rules(0)
        ->mutable_from(0)
        ->mutable_source()
        ->add_ip_blocks("::/0");
    EXPECT_THAT(SendBundle("with-" + version, bundle), testing::SizeIs(testing::Le(1u)));
  }
  std::vector<Request> SendWhole(const net::PackedCidrs& set) {
    return Send(kIpSetType, {{"shop/a", net::VersionOf(set), Part(set, "", false)}});
  }
  std::vector<Request> SendDifference(const net::PackedCidrs& from, const net::PackedCidrs& to) {
    return Send(kIpSetType,
                {{"shop/a", net::VersionOf(to), Difference(from, to, net::VersionOf(from))}});
  }
  std::vector<Request> Change(const net::PackedCidrs& from, const net::PackedCidrs& to) {
    Want(to);
    return SendDifference(from, to);
  }
  // As after a restart.
  void ExpectOnDisk(const net::PackedCidrs& set, const char* member) {
    published_.clear();
    const std::unique_ptr<Publisher> other = MakePublisher("shop/echo");
    ASSERT_TRUE(other->StartFromLastGood()) << log_.lines;
    EXPECT_EQ(active_->ip_set_versions.at("shop/a"), net::VersionOf(set));
    EXPECT_TRUE(Denies(*published_.back(), member));
  }
  size_t FileBytes() const {
    size_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      bytes += entry.file_size();
    }
    return bytes;
  }

  const net::PackedCidrs first_ = Packed({"10.0.0.0/8", "2001:db8::/32"});
};

TEST_F(PublisherSetTest, ADifferenceIsAppliedToWhatIsHeld) {
  EXPECT_FALSE(Denies(*published_.back(), "11.0.0.1"));
  const net::PackedCidrs second = Packed({"11.0.0.0/8", "2001:db8::/32"});
  EXPECT_THAT(Change(first_, second), ElementsAre(Acks(kIpSetType, "4"), Acks(kBundleType, "3")));
  EXPECT_TRUE(Denies(*published_.back(), "11.0.0.1"));
  EXPECT_FALSE(Denies(*published_.back(), "10.0.0.1")) << "removed";
  EXPECT_TRUE(Denies(*published_.back(), "2001:db8::1")) << "kept";
  ExpectOnDisk(second, "11.0.0.1");
}

TEST_F(PublisherSetTest, ADifferenceThatDoesNotFitIsRefusedAndTheSetAskedFor) {
  const size_t published = published_.size();
  const net::PackedCidrs other = Packed({"12.0.0.0/8"});
  EXPECT_THAT(
      SendDifference(other, first_),
      ElementsAre(Nacks(kIpSetType, "3", "which is not here"), Subscribes(kIpSetType, "shop/a")));
  // The base is right, but what it leads to is not the version.
  EXPECT_THAT(Send(kIpSetType, {{"shop/a", "something-else",
                                 Difference(first_, other, net::VersionOf(first_))}}),
              ElementsAre(Nacks(kIpSetType, "4", "what its version says"),
                          Subscribes(kIpSetType, "shop/a")));
  // It removes what is not there.
  EXPECT_THAT(
      Send(kIpSetType,
           {{"shop/a", net::VersionOf(first_), Difference(other, first_, net::VersionOf(first_))}}),
      ElementsAre(Nacks(kIpSetType, "5", "does not fit"), Subscribes(kIpSetType, "shop/a")));
  EXPECT_EQ(published_.size(), published);
  EXPECT_EQ(active_->ip_set_versions.at("shop/a"), net::VersionOf(first_));
  Want(other);
  EXPECT_THAT(SendWhole(other), ElementsAre(Acks(kIpSetType, "7"), Acks(kBundleType, "6")));
  EXPECT_TRUE(Denies(*published_.back(), "12.0.0.1"));
}

TEST_F(PublisherSetTest, PartsAreGatheredAsideAndUsedWhenAllAreThere) {
  const net::PackedCidrs second = Packed({"11.0.0.0/8", "12.0.0.0/8", "2001:db9::/32"});
  const std::string version = net::VersionOf(second);
  const size_t published = published_.size();
  Want(second);
  EXPECT_THAT(
      Send(kIpSetType, {{"shop/a", version + "+1/3", Part(Packed({"11.0.0.0/8"}), "", true)}}),
      ElementsAre(Acks(kIpSetType, "4")));
  EXPECT_THAT(Send(kIpSetType, {{"shop/a", version + "+2/3",
                                 Part(Packed({"12.0.0.0/8"}), version + "+1/3", true)}}),
              ElementsAre(Acks(kIpSetType, "5")));
  EXPECT_EQ(published_.size(), published) << "half a set decides nothing";
  EXPECT_TRUE(Denies(*published_.back(), "10.0.0.1"));
  // A part out of turn.
  EXPECT_THAT(Send(kIpSetType,
                   {{"shop/a", version, Part(Packed({"2001:db9::/32"}), version + "+1/3", false)}}),
              ElementsAre(Nacks(kIpSetType, "6", "not here"), Subscribes(kIpSetType, "shop/a")));
  EXPECT_THAT(Send(kIpSetType,
                   {{"shop/a", version, Part(Packed({"2001:db9::/32"}), version + "+2/3", false)}}),
              ElementsAre(Acks(kIpSetType, "7"), Acks(kBundleType, "3")));
  EXPECT_TRUE(Denies(*published_.back(), "11.0.0.1"));
  EXPECT_TRUE(Denies(*published_.back(), "2001:db9::1"));
  EXPECT_FALSE(Denies(*published_.back(), "10.0.0.1"));
  ExpectOnDisk(second, "12.0.0.1");
}

TEST_F(PublisherSetTest, OnDiskAChangeIsKilobytesAndTheChainStaysShort) {
  std::vector<net::Cidr> cidrs;
  for (uint32_t i = 0; i < 20'000; ++i) cidrs.emplace_back(net::IpAddress::FromV4(i * 65536), 16);
  net::PackedCidrs set = net::Pack(cidrs);
  Want(set);
  SendWhole(set);
  const size_t whole = FileBytes();
  EXPECT_GT(whole, set.bytes());
  size_t most_files = 0;
  for (uint32_t i = 1; i <= 60; ++i) {
    const net::PackedCidrs next =
        net::Union(set, net::Pack({net::Cidr(net::IpAddress::FromV4(0xcb000000 + i))}));
    ASSERT_THAT(Change(set, next), testing::SizeIs(2));
    set = next;
    if (i == 1) {
      EXPECT_LT(FileBytes(), whole + 2000);
    }
    const auto files = std::filesystem::directory_iterator(directory_);
    most_files = std::max(most_files, static_cast<size_t>(std::distance(begin(files), end(files))));
  }
  EXPECT_LT(most_files, 40u);
  EXPECT_LT(FileBytes(), 2 * whole);
  ExpectOnDisk(set, "203.0.0.60");
  // And back to an earlier content: its file is part of the chain already.
  const net::PackedCidrs before =
      net::Minus(set, net::Pack({net::Cidr(net::IpAddress::FromV4(0xcb000000 + 60))}));
  Change(set, before);
  // Nothing is written for it.
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().filename().string().find(net::VersionOf(before)) == std::string::npos)
      continue;
    ++seen;
    EXPECT_LT(entry.file_size(), 2000u) << "still a difference";
  }
  EXPECT_EQ(seen, 1u);
  ExpectOnDisk(before, "203.0.0.59");
  Change(before, set);
  ExpectOnDisk(set, "203.0.0.60");
  Change(set, before);
  ExpectOnDisk(before, "203.0.0.59");
}

TEST_F(PublisherSetTest, AfterAWriteThatFailedTheSetIsWrittenWhole) {
  std::vector<net::Cidr> cidrs;
  for (uint32_t i = 0; i < 1000; ++i) cidrs.emplace_back(net::IpAddress::FromV4(i * 65536), 16);
  const net::PackedCidrs set = net::Pack(cidrs);
  const net::PackedCidrs next = net::Union(set, Packed({"203.0.113.1"}));
  const net::PackedCidrs last = net::Union(next, Packed({"203.0.113.2"}));
  Want(set);
  SendWhole(set);
  std::filesystem::rename(directory_, directory_ + ".away");
  std::ofstream(directory_) << "no folder";
  EXPECT_THAT(Change(set, next), testing::SizeIs(2));
  EXPECT_THAT(log_.lines, testing::HasSubstr("cannot keep an ip set on disk"));
  std::filesystem::remove(directory_);
  std::filesystem::rename(directory_ + ".away", directory_);
  EXPECT_THAT(Change(next, last), testing::SizeIs(2));
  ExpectOnDisk(last, "203.0.113.2");
}

// A chain whose middle is gone is damage, not a smaller set.
TEST_F(PublisherSetTest, ABrokenChainOnDiskIsNotUsed) {
  std::vector<net::Cidr> cidrs;
  for (uint32_t i = 0; i < 1000; ++i) cidrs.emplace_back(net::IpAddress::FromV4(i * 65536), 16);
  const net::PackedCidrs set = net::Pack(cidrs);
  const net::PackedCidrs next = net::Union(set, Packed({"203.0.113.1"}));
  Want(set);
  SendWhole(set);
  Change(set, next);
  ExpectOnDisk(next, "203.0.113.1");
  size_t removed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    if (name.find(net::VersionOf(set)) != std::string::npos) {
      removed += std::filesystem::remove(entry.path());
    }
  }
  ASSERT_EQ(removed, 1u) << "the difference needs what it is from";
  publisher_ = MakePublisher("shop/echo");
  EXPECT_FALSE(publisher_->StartFromLastGood());
}

}  // namespace
}  // namespace whence::discovery
