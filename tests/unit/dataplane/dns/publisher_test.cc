// Names on their way into a snapshot, through a real name server on loopback.
#include "dataplane/dns/publisher.h"

#include <condition_variable>

#include "gmock/gmock.h"
#include "tests/unit/dataplane/dns/dns_server.h"

namespace whence::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PublisherTest : public testing::Test {
 protected:
  static std::shared_ptr<snapshot::Snapshot> WithName(const std::string& name) {
    auto made = std::make_shared<snapshot::Snapshot>();
    made->clusters.resize(1);
    if (!name.empty()) made->clusters[0].dns = {{.host = name, .port = 80}};
    return made;
  }
  absl::Status Take(std::shared_ptr<const snapshot::Snapshot> next) {
    const std::lock_guard lock(mutex_);
    if (!refusal_.ok()) return refusal_;
    endpoints_.clear();
    for (const auto& one : next->clusters[0].endpoints)
      endpoints_.push_back(one.address.ToString());
    ++published_;
    changed_.notify_all();
    return absl::OkStatus();
  }
  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), condition);
  }
  bool AwaitEndpoints(const std::vector<std::string>& wanted) {
    return Await([&] { return endpoints_ == wanted; });
  }
  bool AwaitFailures(uint64_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (publisher_.Stats().failures < count) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }

  DnsServer server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> endpoints_ = {"none yet"};
  int published_ = 0;
  absl::Status refusal_, error_;
  Publisher publisher_{{.servers = server_.address(),
                        .limits = {.floor = std::chrono::milliseconds(20),
                                   .ceiling = std::chrono::milliseconds(50),
                                   .retry = std::chrono::milliseconds(20),
                                   .longest_retry = std::chrono::milliseconds(50)}},
                       [this](auto next) { return Take(std::move(next)); },
                       [this](const absl::Status& status) {
                         const std::lock_guard lock(mutex_);
                         error_ = status;
                         changed_.notify_all();
                       }};
};

TEST_F(PublisherTest, WithoutNamesNothingIsAsked) {
  ASSERT_TRUE(publisher_.Publish(WithName("")).ok());
  EXPECT_EQ(published_, 1);
  EXPECT_THAT(endpoints_, IsEmpty());
  EXPECT_EQ(publisher_.Stats().names, 0u);
}

TEST_F(PublisherTest, FollowsANameInBothFamilies) {
  server_.Set("db.example", {"10.0.0.1", "2001:db8::1"});
  ASSERT_TRUE(publisher_.Publish(WithName("db.example")).ok());
  EXPECT_TRUE(Await([&] { return endpoints_.size() == 2; }));
  EXPECT_THAT(endpoints_, testing::UnorderedElementsAre("10.0.0.1:80", "[2001:db8::1]:80"));
  server_.Set("db.example", {"10.0.0.2"});
  EXPECT_TRUE(AwaitEndpoints({"10.0.0.2:80"}));
  // The next configuration has its addresses from the start.
  ASSERT_TRUE(publisher_.Publish(WithName("db.example")).ok());
  EXPECT_THAT(endpoints_, ElementsAre("10.0.0.2:80"));
}

TEST_F(PublisherTest, KeepsTheLastGoodAddresses) {
  server_.Set("db.example", {"10.0.0.1"});
  ASSERT_TRUE(publisher_.Publish(WithName("db.example")).ok());
  EXPECT_TRUE(AwaitEndpoints({"10.0.0.1:80"}));
  server_.Fail(true);
  EXPECT_TRUE(AwaitFailures(2));
  EXPECT_EQ(publisher_.Stats().failing, 1u);
  server_.Fail(false);
  server_.Set("db.example", {});  // it does not exist any more
  EXPECT_TRUE(AwaitFailures(publisher_.Stats().failures + 2));
  EXPECT_TRUE(AwaitEndpoints({"10.0.0.1:80"}));
  server_.Set("db.example", {"10.0.0.3"});
  EXPECT_TRUE(AwaitEndpoints({"10.0.0.3:80"}));
}

TEST_F(PublisherTest, SaysWhatTheDataPlaneRefuses) {
  server_.Set("db.example", {"10.0.0.1"});
  ASSERT_TRUE(publisher_.Publish(WithName("db.example")).ok());
  EXPECT_TRUE(AwaitEndpoints({"10.0.0.1:80"}));
  {
    const std::lock_guard lock(mutex_);
    refusal_ = absl::InternalError("no");
  }
  EXPECT_EQ(publisher_.Publish(WithName("")).message(), "no");
  server_.Set("db.example", {"10.0.0.2"});
  EXPECT_TRUE(Await([&] { return !error_.ok(); })) << "the refused one did not take its place";
}

TEST_F(PublisherTest, RefusesServersThatAreNone) {
  Publisher bad(
      {.servers = "not an address", .limits = {}}, [](auto) { return absl::OkStatus(); },
      [](const absl::Status&) {});
  EXPECT_TRUE(bad.Publish(WithName("")).ok());
  EXPECT_THAT(std::string(bad.Publish(WithName("a")).message()),
              testing::HasSubstr("dns: servers \"not an address\""));
}

}  // namespace
}  // namespace whence::dns
