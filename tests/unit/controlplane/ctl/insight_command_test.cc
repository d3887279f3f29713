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
#include "controlplane/control_plane.h"
#include "controlplane/ctl/commands.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "whence/v1/access_log.grpc.pb.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Bytes(const std::string& text) {
  const auto bytes = net::IpAddress::Parse(text)->bytes();
  return std::string(bytes.begin(), bytes.end());
}

class InsightCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-ins-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    control::Config config;
    config.data_dir = directory_ + "/data";
    config.listen = control::ListenAddress::Parse("unix:" + directory_ + "/s");
    config.log_retention = std::chrono::hours(24 * 365 * 100);
    config.log_max_bytes = 1 << 30;
    auto plane = control::ControlPlane::Start(config, clock_, logger_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = std::move(*plane);
    channel_ = grpc::CreateChannel("unix:" + directory_ + "/s", grpc::InsecureChannelCredentials());
    Connect();
  }
  void TearDown() override {
    if (agent_) {
      agent_context_.TryCancel();
      (void)agent_->Finish();
    }
    plane_.reset();
    std::filesystem::remove_all(directory_);
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
    grpc::ClientContext context;
    auto stream = v1::AccessLogIngest::NewStub(channel_)->Stream(&context);
    v1::IngestRequest hello, batch;
    hello.mutable_hello()->set_agent("shop/web");
    hello.mutable_hello()->set_role(v1::SIDECAR);
    ASSERT_TRUE(stream->Write(hello));
    batch.mutable_batch()->set_boot("boot");
    batch.mutable_batch()->set_first_seq(1);
    for (const std::string& client : clients) {
      v1::AccessRecord* record = batch.mutable_batch()->add_records();
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
    ASSERT_TRUE(stream->Write(batch));
    v1::IngestResponse response;
    while (response.last_seq() < clients.size()) ASSERT_TRUE(stream->Read(&response));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }

  // As typed: exit code; out_ and err_ are what was printed.
  int Ctl(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(),
                     {"whencectl", "--control-plane", "unix:" + directory_ + "/s"});
    std::vector<const char*> raw;
    for (const std::string& argument : arguments) raw.push_back(argument.c_str());
    CommandLine line = ParseCommandLine(static_cast<int>(raw.size()), raw.data());
    out_ = line.out;
    err_ = line.error;
    if (!line.options) return line.exit_code;
    std::istringstream in(input);
    std::ostringstream out, err;
    const int code = ctl::Run(*line.options, in, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_, out_, err_;
  std::unique_ptr<control::ControlPlane> plane_;
  std::shared_ptr<grpc::Channel> channel_;
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
  std::string text = "apiVersion: whence.dev/v1\nkind: IpSet\n"
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
