// What whencectl says of a change before it is made, against the whole control plane with an agent
// connected: `explain --diff`, `diff`, and `rollback --strict`.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/net/ip_address.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "tests/unit/controlplane/ctl/plane_fixture.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Bytes(const std::string& text) {
  const auto bytes = net::IpAddress::Parse(text)->bytes();
  return std::string(bytes.begin(), bytes.end());
}

class InsightCommandTest : public PlaneFixture {
 protected:
  void SetUp() override {
    PlaneFixture::SetUp();
    Connect();
  }
  void TearDown() override {
    if (agent_) {
      agent_context_.TryCancel();
      (void)agent_->Finish();
    }
    PlaneFixture::TearDown();
  }

  // shop/web, which has an address of each family. Back when it is known.
  void Connect() {
    agent_context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    agent_ = envoy::service::discovery::v3::AggregatedDiscoveryService::NewStub(channel_)
                 ->DeltaAggregatedResources(&agent_context_);
    envoy::service::discovery::v3::DeltaDiscoveryRequest request;
    request.mutable_node()->set_id("shop/web");
    auto& fields = *request.mutable_node()->mutable_metadata()->mutable_fields();
    fields["role"].set_string_value("sidecar");
    for (const char* address : {"10.32.1.205", "fd00::205"}) {
      fields["addresses"].mutable_list_value()->add_values()->set_string_value(address);
    }
    request.set_type_url("type.googleapis.com/whence.v1.WorkloadBundle");
    request.add_resource_names_subscribe("shop/web");
    ASSERT_TRUE(agent_->Write(request));
    envoy::service::discovery::v3::DeltaDiscoveryResponse response;
    ASSERT_TRUE(agent_->Read(&response));
  }

  // One allowed request of each client, recorded as an agent does it.
  void Record(const std::vector<std::string>& clients) {
    std::vector<v1::AccessRecord> records;
    for (const std::string& client : clients) {
      v1::AccessRecord* record = &records.emplace_back();
      record->set_time_us(std::chrono::duration_cast<std::chrono::microseconds>(
                              std::chrono::system_clock::now().time_since_epoch())
                              .count());
      record->set_protocol("http/1.1");
      record->set_client_address(Bytes(client));
      record->set_direct_peer(Bytes(client));
      record->set_client_reason("direct-peer");
      record->set_method("GET");
      record->set_host("shop.example");
      record->set_path("/cart");
      record->set_decision(v1::ALLOW_DECISION);
      record->set_status(200);
    }
    Ingest(1, records);
  }

  // As typed: exit code; out_ and err_ are what was printed.
  int Ctl(std::vector<std::string> arguments, const std::string& input = "") {
    return Type(Addressed(std::move(arguments)), input, &out_, &err_);
  }

  std::string out_, err_;
  grpc::ClientContext agent_context_;
  std::unique_ptr<grpc::ClientReaderWriter<envoy::service::discovery::v3::DeltaDiscoveryRequest,
                                           envoy::service::discovery::v3::DeltaDiscoveryResponse>>
      agent_;
};

constexpr char kDenyFeed[] = R"(apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: no-feed, namespace: shop}
spec:
  action: DENY
  rules:
  - from:
    - source: {ipSets: [feed]}
)";

std::string Feed(int size) {
  std::string text;
  for (int i = 0; i < size; ++i) {
    text += "198." + std::to_string(18 + i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
            std::to_string(i % 256) + "\n";
  }
  return text;
}

std::string Inline(const std::string& list) {
  std::string text =
      "apiVersion: whence.dev/v1\nkind: IpSet\n"
      "metadata: {name: feed, namespace: shop}\nspec:\n  cidrs:\n";
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) text += "  - " + line + "\n";
  return text;
}

// Both ways by which a list that is long comes into a document, and neither is in force yet.
TEST_F(InsightCommandTest, ForecastJudgesByWhatALargeSetHolds) {
  // The second is the 5,000th of the feed, the third the one behind.
  Record({"198.18.0.7", "198.18.19.135", "198.18.19.136", "203.0.113.9"});
  std::ofstream(directory_ + "/feed.txt") << Feed(5'000);
  std::ofstream(directory_ + "/change.yaml")
      << kDenyFeed << "---\napiVersion: whence.dev/v1\nkind: IpSet\n"
      << "metadata: {name: feed, namespace: shop}\nspec: {file: feed.txt}\n";
  ASSERT_EQ(Ctl({"explain", "--diff", directory_ + "/change.yaml"}), 0) << err_;
  EXPECT_THAT(out_, StartsWith("would deny 2 and newly allow 0 of 4 requests")) << err_;
  EXPECT_THAT(out_, HasSubstr("198.18.19.135"));
  EXPECT_THAT(out_, Not(HasSubstr("198.18.19.136")));
  EXPECT_THAT(out_, HasSubstr("shop/no-feed"));

  // Long enough to be sent apart from its document, as text as well.
  ASSERT_EQ(Ctl({"explain", "--diff", "-"}, kDenyFeed + ("---\n" + Inline(Feed(40'000)))), 0)
      << err_;
  EXPECT_THAT(out_, StartsWith("would deny 3 and newly allow 0 of 4 requests")) << err_;

  // In force, and now without the addresses that were hit.
  ASSERT_EQ(Ctl({"apply", "-f", directory_ + "/change.yaml"}), 0) << err_;
  std::ofstream(directory_ + "/feed.txt") << Feed(5'000).substr(Feed(256).size());
  ASSERT_EQ(Ctl({"explain", "--diff", directory_ + "/change.yaml"}), 0) << err_;
  EXPECT_THAT(out_, StartsWith("would deny 0 and newly allow 1 of 4 requests")) << err_;
  // A list that is not there is a fault, and nothing is foretold.
  std::filesystem::remove(directory_ + "/feed.txt");
  EXPECT_EQ(Ctl({"explain", "--diff", directory_ + "/change.yaml"}), 1);
  EXPECT_THAT(out_, Not(HasSubstr("would deny")));
  EXPECT_THAT(err_, HasSubstr("feed.txt"));
}

// With an IPv6 address in the mesh: only who knows the agents can warn of that.
constexpr char kIpv4Only[] = R"(apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: edge, namespace: shop}
spec:
  action: DENY
  rules:
  - from:
    - source: {ipBlocks: [192.0.2.0/24]}
)";

TEST_F(InsightCommandTest, WarnsOfWhatApplyWarnsOf) {
  ASSERT_EQ(Ctl({"apply", "-f", "-", "--dry-run"}, kIpv4Only), 0);
  const std::string warnings = err_;
  EXPECT_THAT(warnings, HasSubstr("denies IPv4 only, but IPv6 is served"));
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, kIpv4Only), 1);
  EXPECT_EQ(err_, warnings);
  EXPECT_EQ(Ctl({"explain", "--diff", "-"}, kIpv4Only), 0);
  EXPECT_EQ(err_, warnings);
}

TEST_F(InsightCommandTest, StrictRollbackKnowsTheAgents) {
  ASSERT_EQ(Ctl({"apply", "-f", "-"}, kIpv4Only), 0);
  ASSERT_EQ(Ctl({"delete", "policy", "edge", "-n", "shop"}), 0) << err_;
  EXPECT_EQ(Ctl({"rollback", "1", "--strict"}), 1);
  EXPECT_THAT(err_, HasSubstr("revision 1: AuthorizationPolicy shop/edge: spec.rules[0].from[0]"
                              ".source.ipBlocks: denies IPv4 only"));
  EXPECT_THAT(err_, HasSubstr("nothing was changed: 1 fault"));
  EXPECT_EQ(Ctl({"get", "policies", "-n", "shop"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("edge")));
  EXPECT_EQ(Ctl({"rollback", "1"}), 0) << err_;
}

}  // namespace
}  // namespace whence::ctl
