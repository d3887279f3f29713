#include "controlplane/discovery/node.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

namespace whence::discovery {
namespace {

using ::testing::HasSubstr;

envoy::config::core::v3::Node FromJson(const std::string& json) {
  envoy::config::core::v3::Node node;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &node).ok()) << json;
  return node;
}

TEST(ReadNodeTest, RefusesAndNamesWhatIsWrong) {
  const struct {
    const char* json;
    const char* want;
  } kRows[] = {
      {R"({})", "node.id is missing"},
      {R"({"id": "echo"})", "must be \"namespace/name\""},
      {R"({"id": "/echo"})", "must be \"namespace/name\""},
      {R"({"id": "a/"})", "must be \"namespace/name\""},
      {R"({"id": "a/b/c"})", "must be \"namespace/name\""},
      {R"({"id": "a/b c"})", "must be \"namespace/name\""},
      {R"({"id": "a/b\u001b[31m"})", "must be \"namespace/name\""},
      {R"({"id": "a/b", "metadata": {"namespace": "z"}})", "metadata.namespace differs"},
      {R"({"id": "a/b", "metadata": {"name": "z"}})", "metadata.name differs"},
      {R"({"id": "a/b", "metadata": {"role": "root"}})", "must be sidecar, gateway or node"},
      {R"({"id": "a/b", "metadata": {"role": 7}})", "metadata.role must be text"},
      {R"({"id": "a/b", "metadata": {"labels": ["x"]}})", "metadata.labels must be a map"},
      {R"({"id": "a/b", "metadata": {"labels": {"x": 1}}})", "metadata.labels must be a map"},
      {R"({"id": "a/b", "metadata": {"addresses": "10.0.0.1"}})", "metadata.addresses must be a"},
      {R"({"id": "a/b", "metadata": {"addresses": ["10.0.0.1/8"]}})", "is no address"},
      {R"({"id": "a/b", "metadata": {"addresses": ["0.0.0.0"]}})", "is no address"},
      {R"({"id": "a/b", "metadata": {"addresses": [1]}})", "is no address"},
      {R"({"id": "a/b", "metadata": {"excludedPorts": 22}})", "must be a list of ports"},
      {R"({"id": "a/b", "metadata": {"excludedPorts": [0]}})", "ports from 1 to 65535"},
      {R"({"id": "a/b", "metadata": {"includedPorts": [65536]}})", "ports from 1 to 65535"},
      {R"({"id": "a/b", "metadata": {"includedPorts": [80.5]}})", "ports from 1 to 65535"},
      {R"({"id": "a/b", "metadata": {"includedPorts": ["80"]}})", "ports from 1 to 65535"},
  };
  for (const auto& row : kRows) {
    absl::StatusOr<Agent> agent = ReadNode(FromJson(row.json));
    ASSERT_FALSE(agent.ok()) << row.json;
    EXPECT_EQ(agent.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(agent.status().ToString(), HasSubstr(row.want)) << row.json;
  }
}

TEST(ReadNodeTest, NamesAllFaultsAtOnce) {
  absl::StatusOr<Agent> agent =
      ReadNode(FromJson(R"({"id": "a/b", "metadata": {"role": "x", "addresses": ["y"]}})"));
  EXPECT_THAT(agent.status().ToString(), HasSubstr("metadata.role"));
  EXPECT_THAT(agent.status().ToString(), HasSubstr("metadata.addresses"));
}

TEST(ReadNodeTest, BoundsTheMessage) {
  envoy::config::core::v3::Node node;
  node.set_id("a/b");
  node.set_cluster(std::string(100000, 'x'));
  EXPECT_FALSE(ReadNode(node).ok());
}

TEST(ReadNodeTest, ReadsAnAgentAndReadsItAgainFromItsBytes) {
  absl::StatusOr<Agent> agent = ReadNode(FromJson(R"({"id": "shop/echo-1", "metadata": {
      "namespace": "shop", "name": "echo-1", "role": "sidecar", "labels": {"app": "echo"},
      "addresses": ["10.32.1.205", "::ffff:10.32.1.205", "fd00::205"], "node": "node-a",
      "interception": "tproxy", "version": "0.1.0", "surplus": {"is": "fine"}}})"));
  ASSERT_TRUE(agent.ok()) << agent.status();
  envoy::config::core::v3::Node again;
  ASSERT_TRUE(again.ParseFromString(agent->node_bytes));
  absl::StatusOr<Agent> reread = ReadNode(again);
  ASSERT_TRUE(reread.ok());
  EXPECT_TRUE(SameWorkload(agent->workload, reread->workload));

  v1::AgentState state = ToAgentState(*agent);
  EXPECT_EQ(state.namespace_(), "shop");
  EXPECT_EQ(state.name(), "echo-1");
  EXPECT_EQ(state.role(), v1::SIDECAR);
  EXPECT_EQ(state.labels().at("app"), "echo");
  ASSERT_EQ(state.addresses_size(), 2);  // the mapped form is the same address
  EXPECT_EQ(state.addresses(0), "10.32.1.205");
  EXPECT_EQ(state.addresses(1), "fd00::205");
  EXPECT_EQ(state.node(), "node-a");
  EXPECT_EQ(state.interception(), "tproxy");
  EXPECT_EQ(state.version(), "0.1.0");
  EXPECT_TRUE(agent->workload.has_sidecar);
}

TEST(ReadNodeTest, OnlyAnInterceptingSidecarCounts) {
  auto has_sidecar = [](const std::string& metadata) {
    return ReadNode(FromJson(R"({"id": "a/b", "metadata": )" + metadata + "}"))
        ->workload.has_sidecar;
  };
  EXPECT_TRUE(has_sidecar(R"({"role": "sidecar", "interception": "redirect"})"));
  EXPECT_FALSE(has_sidecar(R"({"role": "sidecar", "interception": "none"})"));
  EXPECT_FALSE(has_sidecar(R"({"role": "gateway", "interception": "tproxy"})"));
  EXPECT_FALSE(has_sidecar(R"({})"));
}

TEST(ReadNodeTest, KnowsWhatPacketRulesLeaveOut) {
  const auto read = [](const std::string& ports) {
    return ReadNode(
               FromJson(R"({"id": "a/b", "metadata": {"interception": "tproxy")" + ports + "}}"))
        ->workload;
  };
  const bundle::Workload excluding = read(R"(, "excludedPorts": [22, 15020])");
  EXPECT_FALSE(excluding.Intercepts(22));
  EXPECT_TRUE(excluding.Intercepts(80));
  const bundle::Workload including = read(R"(, "includedPorts": [80])");
  EXPECT_TRUE(including.Intercepts(80));
  EXPECT_FALSE(including.Intercepts(443));
  EXPECT_TRUE(read("").Intercepts(443));
  EXPECT_FALSE(SameWorkload(excluding, read("")));
  EXPECT_FALSE(SameWorkload(including, read("")));
}

TEST(SameWorkloadTest, IgnoresTheProgramsVersion) {
  auto read = [](const std::string& version) {
    return *ReadNode(FromJson(R"({"id": "a/b", "metadata": {"version": ")" + version + R"("}})"));
  };
  EXPECT_TRUE(SameWorkload(read("1").workload, read("2").workload));
}

TEST(NodeTest, WhatIsProvenOfAnAgentIsLessThanWhatItSays) {
  Agent agent;
  agent.workload.addresses = {*net::IpAddress::Parse("10.0.0.1"),
                              *net::IpAddress::Parse("2001:db8::1")};
  agent.workload.labels = {{"app", "web"}, {"tier", "edge"}, {"x", "y"}};
  const bundle::Workload said = agent.workload;
  EXPECT_TRUE(said.IsProven(said.addresses[1])) << "without a certificate its word is enough";
  EXPECT_EQ(said.LabelsForTrust(), said.labels);
  v1::AgentProof proof;
  proof.add_addresses("10.0.0.1");
  proof.add_addresses("10.0.0.3");
  (*proof.mutable_labels())["app"] = "web";
  (*proof.mutable_labels())["tier"] = "core";   // another value
  (*proof.mutable_labels())["role"] = "proxy";  // not what it says itself
  Believe(proof, &agent);
  EXPECT_EQ(agent.workload.addresses, said.addresses);
  EXPECT_EQ(agent.workload.labels, said.labels);
  EXPECT_TRUE(agent.workload.IsProven(said.addresses[0]));
  EXPECT_FALSE(agent.workload.IsProven(said.addresses[1]));
  EXPECT_EQ(agent.workload.LabelsForTrust(), (std::map<std::string, std::string>{{"app", "web"}}));
  EXPECT_FALSE(SameWorkload(agent.workload, said));
  EXPECT_EQ(ToAgentState(agent).unproven_addresses(0), "2001:db8::1");
}

}  // namespace
}  // namespace whence::discovery
