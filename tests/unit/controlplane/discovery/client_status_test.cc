#include "controlplane/discovery/client_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace whence::discovery {
namespace {

using namespace std::chrono_literals;
using envoy::service::status::v3::ClientStatusRequest;
using envoy::service::status::v3::ClientStatusResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace envoy::service::status::v3;

constexpr char kType[] = "type.googleapis.com/whence.v1.WorkloadBundle";

Inventory::Connected Client(const std::string& id, TypeProgress progress = {}) {
  envoy::config::core::v3::Node node;
  node.set_id(id);
  Inventory::Connected client;
  client.agent = *ReadNode(node);
  progress.type_url = kType;
  client.progress.types.push_back(std::move(progress));
  return client;
}

Resource Current(const std::string& version) {
  return {version, std::make_shared<const std::string>("bytes"), nullptr, "head"};
}

std::vector<std::string> Ids(const ClientStatusRequest& request) {
  auto response =
      DescribeClients(request, {Client("shop/web-1"), Client("shop/WEB-2"), Client("other/db")});
  EXPECT_TRUE(response.ok()) << response.status();
  std::vector<std::string> ids;
  for (const ClientConfig& config : response->config()) ids.push_back(config.node().id());
  return ids;
}

TEST(ClientStatusTest, SaysPerResourceHowFarItIs) {
  struct Row {
    const char* name;
    std::optional<ResourceProgress> sent;  // nullopt: asked for only
    const char* current;                   // nullptr: there is none
    ConfigStatus want;
    envoy::admin::v3::ClientResourceStatus want_client;
    const char* want_version;
  };
  const Row rows[] = {
      {"acknowledged and current", ResourceProgress{"v2", "v2", "", ""}, "v2", SYNCED,
       envoy::admin::v3::ACKED, "v2"},
      {"sent, not acknowledged yet", ResourceProgress{"v2", "v1", "", ""}, "v2", STALE,
       envoy::admin::v3::ACKED, "v1"},
      {"the first, not acknowledged yet", ResourceProgress{"v1", "", "", ""}, "v1", STALE,
       envoy::admin::v3::REQUESTED, ""},
      {"acknowledged, and a newer one waits", ResourceProgress{"v1", "v1", "", ""}, "v2", STALE,
       envoy::admin::v3::ACKED, "v1"},
      {"acknowledged, and deleted since", ResourceProgress{"v1", "v1", "", ""}, nullptr, STALE,
       envoy::admin::v3::ACKED, "v1"},
      {"refused, and runs the one before", ResourceProgress{"v2", "v1", "v2", "bad"}, "v2", ERROR,
       envoy::admin::v3::NACKED, "v1"},
      {"refused at first", ResourceProgress{"v1", "", "v1", "bad"}, "v1", ERROR,
       envoy::admin::v3::NACKED, ""},
      {"there, and not sent yet", std::nullopt, "v1", NOT_SENT, envoy::admin::v3::REQUESTED, ""},
      {"asked for, and not there", std::nullopt, nullptr, NOT_SENT,
       envoy::admin::v3::DOES_NOT_EXIST, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    TypeProgress progress;
    if (row.sent) progress.resources["a/b"] = *row.sent;
    if (row.current != nullptr) {
      progress.current["a/b"] = Current(row.current);
    } else {
      progress.absent = {"a/b"};
    }
    auto response = DescribeClients({}, {Client("a/b", progress)});
    ASSERT_TRUE(response.ok());
    ASSERT_EQ(response->config_size(), 1);
    ASSERT_EQ(response->config(0).generic_xds_configs_size(), 1);
    const auto& shown = response->config(0).generic_xds_configs(0);
    EXPECT_EQ(shown.type_url(), kType);
    EXPECT_EQ(shown.name(), "a/b");
    EXPECT_EQ(shown.config_status(), row.want);
    EXPECT_EQ(shown.client_status(), row.want_client);
    EXPECT_EQ(shown.version_info(), row.want_version);
    EXPECT_EQ(shown.has_error_state(), row.want == ERROR);
  }
}

TEST(ClientStatusTest, ARefusalIsShownWithItsVersionTextAndTime) {
  TypeProgress progress;
  progress.resources["a/b"] = {"v2", "v1", "v2", "a/b: port 0", WallTime(1700000000250ms)};
  progress.current["a/b"] = Current("v2");
  const auto shown =
      DescribeClients({}, {Client("a/b", progress)})->config(0).generic_xds_configs(0);
  EXPECT_EQ(shown.error_state().version_info(), "v2");
  EXPECT_EQ(shown.error_state().details(), "a/b: port 0");
  EXPECT_EQ(shown.error_state().last_update_attempt().seconds(), 1700000000);
  EXPECT_EQ(shown.error_state().last_update_attempt().nanos(), 250'000'000);
  EXPECT_FALSE(shown.has_last_updated());
}

TEST(ClientStatusTest, ContentsAreNotShownSinceTheyHoldKeys) {
  TypeProgress progress;
  progress.resources["a/b"] = {"v1", "v1", "", "", WallTime(5s)};
  progress.current["a/b"] = Current("v1");
  const auto response = DescribeClients({}, {Client("a/b", progress)});
  EXPECT_EQ(response->config(0).generic_xds_configs(0).last_updated().seconds(), 5);
  EXPECT_FALSE(response->config(0).generic_xds_configs(0).has_xds_config());
  EXPECT_EQ(response->SerializeAsString().find("headbytes"), std::string::npos);
}

TEST(ClientStatusTest, MatchersChooseByNodeId) {
  ClientStatusRequest request;
  EXPECT_THAT(Ids(request), ElementsAre("shop/web-1", "shop/WEB-2", "other/db"));
  auto* id = request.add_node_matchers()->mutable_node_id();
  id->set_exact("shop/web-1");
  EXPECT_THAT(Ids(request), ElementsAre("shop/web-1"));
  id->set_prefix("shop/w");
  EXPECT_THAT(Ids(request), ElementsAre("shop/web-1"));
  id->set_ignore_case(true);
  EXPECT_THAT(Ids(request), ElementsAre("shop/web-1", "shop/WEB-2"));
  id->set_suffix("/DB");
  EXPECT_THAT(Ids(request), ElementsAre("other/db"));
  id->set_contains("nobody");
  EXPECT_THAT(Ids(request), IsEmpty());
  request.add_node_matchers()->mutable_node_id()->set_exact("other/db");  // any of them
  EXPECT_THAT(Ids(request), ElementsAre("other/db"));
}

TEST(ClientStatusTest, AMatcherThatIsNotUnderstoodIsRefusedNotIgnored) {
  ClientStatusRequest request;
  auto* matcher = request.add_node_matchers();
  EXPECT_EQ(DescribeClients(request, {}).status().code(), absl::StatusCode::kInvalidArgument);
  matcher->mutable_node_id()->set_exact("a/b");
  matcher->add_node_metadatas();
  EXPECT_EQ(DescribeClients(request, {}).status().code(), absl::StatusCode::kInvalidArgument);
  // A regular expression (field 5), which our schema does not have.
  matcher->Clear();
  ASSERT_TRUE(matcher->mutable_node_id()->ParseFromString(std::string("\x2a\x04\x12\x02.*", 6)));
  EXPECT_EQ(DescribeClients(request, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace whence::discovery
