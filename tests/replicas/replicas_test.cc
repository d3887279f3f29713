// Two replicas of whence-control over three members of etcd, all real processes: what one commits
// the other serves, agents move between them, and each single process may be killed or stopped.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/net/packed_cidrs.h"
#include "controlplane/etcd/client.h"
#include "controlplane/etcd/replication.h"
#include "tests/lab/process.h"
#include "tests/lab/wait.h"
#include "tests/replicas/fake_agent.h"
#include "tests/support/etcd_cluster.h"
#include "tests/support/free_port.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using View = FakeAgent::View;

EtcdCluster* cluster;  // main's
std::string folder;    // main's

// Empty: `text` does not have both marks.
std::string Between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t mark = text.find(before);
  if (mark == std::string::npos) return {};
  const size_t begin = mark + before.size();
  const size_t end = text.find(after, begin);
  return end == std::string::npos ? std::string() : text.substr(begin, end - begin);
}

// One whence-control; killed with it.
class Replica {
 public:
  Replica(const std::string& prefix, int number) : name_(folder + prefix + std::to_string(number)) {
    std::filesystem::create_directories(name_);
    Start(prefix);
  }
  // The same address again, if it had one.
  void Start(const std::string& prefix) {
    const std::string listen = address_.empty() ? "127.0.0.1:0" : address_;
    const std::string output = name_ + "/output";
    std::filesystem::remove(output);
    auto process = lab::Process::Start(
        {.command = {WHENCE_CONTROL_PROGRAM, "--data-dir", name_ + "/data", "--listen", listen,
                     "--http", "127.0.0.1:0", "--store", "etcd", "--etcd-endpoints",
                     cluster->endpoints(), "--etcd-prefix", prefix},
         .output = output});
    if (!process.ok()) throw std::runtime_error(std::string(process.status().message()));
    process_.emplace(*std::move(process));
    std::string text;
    const bool is_ready = lab::WaitUntil(
        [&] {
          text = process_->Output();
          address_ = Between(text, "ready: grpc ", ", ");
          http_ = Between(text, ", http ", ", data");
          return !http_.empty();
        },
        std::chrono::seconds(60));
    if (!is_ready) throw std::runtime_error("whence-control did not start: " + text);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  }
  void Kill() { process_->Kill(); }
  void Stop() { process_->Stop(); }

  const std::string& address() const { return address_; }
  std::string Health() const {
    return lab::Run({"curl", "-s", "--max-time", "5", "http://" + http_ + "/healthz"}).out;
  }
  std::string Metrics() const {
    return lab::Run({"curl", "-s", "--max-time", "5", "http://" + http_ + "/metrics"}).out;
  }

  grpc::Status Apply(v1::ApplyRequest request, v1::ApplyResponse* response = nullptr) const {
    v1::ApplyResponse own;
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!response) response = &own;
    grpc::Status status = v1::ConfigService::NewStub(channel_)->Apply(&context, request, response);
    if (status.ok()) {
      EXPECT_EQ(response->faults_size(), 0) << response->ShortDebugString();
    }
    return status;
  }
  // Names of the documents there are.
  std::vector<std::string> Names() const {
    grpc::ClientContext context;
    v1::GetRequest request;
    request.set_kind("all");
    v1::GetResponse response;
    grpc::Status status = v1::ConfigService::NewStub(channel_)->Get(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const auto& stored : response.documents()) {
      names.push_back(stored.document().metadata().name());
    }
    return names;
  }

 private:
  const std::string name_;
  std::optional<lab::Process> process_;
  std::string address_, http_;
  std::shared_ptr<grpc::Channel> channel_;
};

v1::ApplyRequest Policy(const std::string& name, const std::string& cidr) {
  v1::ApplyRequest request;
  request.add_files()->set_content(
      "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: " + name +
      ", namespace: shop}\nspec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: [" +
      cidr + "]}}]}]}\n");
  return request;
}

std::vector<std::string> Policies(const View& view) {
  std::vector<std::string> names;
  for (const auto& policy : view.bundle.policies()) names.push_back(policy.name());
  return names;
}
bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
std::vector<std::string> Gateways(const View& view) {
  return {view.bundle.trust().mesh_gateways().begin(), view.bundle.trust().mesh_gateways().end()};
}

class ReplicasTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static int next = 0;
    prefix_ = "/t" + std::to_string(++next) + "/";
    for (int i = 0; i < 2; ++i) replicas_.push_back(std::make_unique<Replica>(prefix_, i));
  }
  Replica& a() { return *replicas_[0]; }
  Replica& b() { return *replicas_[1]; }

  std::string prefix_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  // Declared last: their streams end before the replicas do.
  FakeAgent web_{"shop/web", "sidecar", "10.0.0.1"};
  FakeAgent gate_{"edge/gate", "gateway", "10.0.0.9"};
};

TEST_F(ReplicasTest, WhatOneCommitsTheOtherServesAndAgentsOfBothAreKnownToBoth) {
  web_.Connect(b().address());
  gate_.Connect(a().address());
  ASSERT_TRUE(a().Apply(Policy("p", "192.0.2.0/24")).ok());
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Has(Policies(view), "p"); }));
  EXPECT_THAT(b().Names(), Contains("p"));
  // The gateway is connected to the other one, and trusted as if it were here.
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Has(Gateways(view), "10.0.0.9"); }));
  EXPECT_THAT(b().Metrics(), HasSubstr("whence_control_replicas 2\n"));
  // A farewell counts at once, everywhere.
  gate_.Leave();
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Gateways(view).empty(); }));
}

// What a certificate proves of an agent the other replicas know, too: to them it is no better than
// to the one that it is connected to.
TEST_F(ReplicasTest, WhatIsProvenOfAnAgentIsKnownToBoth) {
  struct One {
    SystemClock clock;
    log::Logger logger{log::Level::kOff};
    std::unique_ptr<etcd::Client> client;
    discovery::Inventory inventory{clock};
    std::unique_ptr<etcd::Replication> replication;
  };
  One here, there;
  for (One* one : {&here, &there}) {
    one->client = *etcd::Client::Make(cluster->options("/proven/"));
    one->replication = std::make_unique<etcd::Replication>(
        *one->client, one->inventory, [] { return absl::OkStatus(); }, "", one->clock, one->logger);
    ASSERT_TRUE(one->replication->Join().ok());
    one->replication->Start();
  }
  envoy::config::core::v3::Node node;
  node.set_id("shop/web");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  for (const char* address : {"10.0.0.1", "10.0.0.2"}) {
    fields["addresses"].mutable_list_value()->add_values()->set_string_value(address);
  }
  auto& labels = *fields["labels"].mutable_struct_value()->mutable_fields();
  for (const char* label : {"app", "tier"}) labels[label].set_string_value("x");
  auto agent = discovery::ReadNode(node);
  ASSERT_TRUE(agent.ok()) << agent.status();
  v1::AgentProof proof;
  proof.add_addresses("10.0.0.1");
  (*proof.mutable_labels())["app"] = "x";
  discovery::Believe(proof, &*agent);
  here.inventory.Connect(*agent, [](const absl::Status&) {});
  ASSERT_TRUE(lab::WaitUntil([&] { return !there.inventory.View()->workloads.empty(); },
                             std::chrono::seconds(20)));
  EXPECT_TRUE(discovery::SameWorkload(there.inventory.View()->workloads[0], agent->workload));
  EXPECT_EQ(there.inventory.View()->workloads[0].unproven_addresses.size(), 1u);
}

TEST_F(ReplicasTest, ALostHandoverSecretIsNoticedAndComesBackAsItWas) {
  auto client = *etcd::Client::Make(cluster->options(prefix_));
  const auto secret = [&] {
    etcdserverpb::RangeRequest request;
    request.set_key(client->Key("handover-secret"));
    const auto found = client->Range(request);
    return found.ok() && found->kvs_size() == 1 ? found->kvs(0).value() : std::string();
  };
  const auto both_share = [&](bool shared) {
    const std::string line =
        std::string("whence_control_handover_secret_shared ") + (shared ? "1\n" : "0\n");
    return lab::WaitUntil(
        [&] {
          return a().Metrics().find(line) != std::string::npos &&
                 b().Metrics().find(line) != std::string::npos;
        },
        std::chrono::seconds(20));
  };
  const std::string first = secret();
  ASSERT_EQ(first.size(), 32u);
  EXPECT_TRUE(both_share(true));
  etcdserverpb::TxnRequest wipe;
  etcd::Delete(client->Key("handover-secret"), &wipe);
  ASSERT_TRUE(client->Txn(wipe).ok());
  EXPECT_TRUE(both_share(false));
  // The one that came second: its own secret was never the mesh's.
  b().Stop();
  b().Start(prefix_);
  EXPECT_EQ(secret(), first);
  EXPECT_TRUE(both_share(true));
  etcdserverpb::TxnRequest change;
  etcd::Put(client->Key("handover-secret"), std::string(32, 'x'), &change);
  ASSERT_TRUE(client->Txn(change).ok());
  EXPECT_TRUE(both_share(false));
}

TEST_F(ReplicasTest, AnAgentThatMovesIsNotSentWhatItHas) {
  ASSERT_TRUE(a().Apply(Policy("p", "192.0.2.0/24")).ok());
  gate_.Connect(a().address());
  web_.Connect(a().address());
  ASSERT_TRUE(web_.WaitFor([](const View& view) {
    return Has(Policies(view), "p") && Has(Gateways(view), "10.0.0.9");
  }));
  // Wherever it is seen last, it is one agent: a stream that is still open elsewhere ends.
  FakeAgent twin("shop/web", "sidecar", "10.0.0.1");
  twin.Connect(b().address());
  ASSERT_TRUE(twin.WaitFor([](const View& view) {
    return Has(Policies(view), "p") && Has(Gateways(view), "10.0.0.9");
  }));
  ASSERT_TRUE(web_.WaitFor([](const View& view) { return view.ended.has_value(); }));
  EXPECT_EQ(web_.view().ended->error_code(), grpc::StatusCode::ABORTED);
  twin.Break();
  for (Replica* replica : {&a(), &b(), &a()}) {
    web_.Break();
    web_.Connect(replica->address());
    EXPECT_TRUE(web_.GotNoBundle());
  }
}

TEST_F(ReplicasTest, AReplicaMayBeKilled) {
  ASSERT_TRUE(a().Apply(Policy("p", "192.0.2.0/24")).ok());
  gate_.Connect(a().address());
  web_.Connect(a().address());
  ASSERT_TRUE(web_.WaitFor([](const View& view) { return Has(Gateways(view), "10.0.0.9"); }));
  a().Kill();
  web_.Break();
  web_.Connect(b().address());
  EXPECT_TRUE(web_.GotNoBundle());
  ASSERT_TRUE(b().Apply(Policy("q", "198.51.100.0/24")).ok());
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Has(Policies(view), "q"); }));
  // The killed one's lease ends; its agents keep their places until they had time to come back.
  EXPECT_TRUE(lab::WaitUntil(
      [&] { return b().Metrics().find("whence_control_replicas 1\n") != std::string::npos; },
      std::chrono::seconds(60)));
  ASSERT_TRUE(b().Apply(Policy("r", "203.0.113.0/24")).ok());
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Has(Policies(view), "r"); }));
  EXPECT_THAT(Gateways(web_.view()), Contains("10.0.0.9"));
  // A new one knows what the other knows, agents included.
  a().Start(prefix_);
  web_.Break();
  web_.Connect(a().address());
  EXPECT_TRUE(web_.GotNoBundle());
  gate_.Break();
  gate_.Connect(b().address());
  EXPECT_TRUE(web_.GotNoBundle());
}

// The fakes above say what is sent; this says that the agent itself finds its way, whichever
// replica dies, and that what it enforces is what the other one says.
TEST_F(ReplicasTest, ARealAgentFindsTheOtherReplica) {
  const std::string directory = folder + prefix_ + "agent";
  std::filesystem::create_directories(directory);
  const std::string port = std::to_string(FreePort());
  v1::ApplyRequest gateway;
  gateway.add_files()->set_content(
      "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n"
      "spec:\n  selector: {app: gate}\n  servers:\n"
      "  - {port: {number: " +
      port + ", name: http, protocol: HTTP}, hosts: ['*']}\n");
  ASSERT_TRUE(a().Apply(gateway).ok());
  auto agent = lab::Process::Start({.command = {WHENCE_AGENT_PROGRAM,
                                                "run",
                                                "--control-plane",
                                                "ipv4:" + a().address() + "," + b().address(),
                                                "--role",
                                                "gateway",
                                                "--name",
                                                "gate",
                                                "--namespace",
                                                "shop",
                                                "--labels",
                                                "app=gate",
                                                "--pod-ip",
                                                "127.0.0.1",
                                                "--interception",
                                                "none",
                                                "--state-dir",
                                                directory,
                                                "--admin",
                                                "off",
                                                "--health",
                                                "off",
                                                "--metrics",
                                                "off"},
                                    .output = directory + "/output"});
  ASSERT_TRUE(agent.ok()) << agent.status();
  const auto answers = [&port](const std::string& status) {
    return lab::WaitUntil(
        [&] {
          return lab::Run({"curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}",
                           "http://127.0.0.1:" + port + "/"})
                     .out == status;
        },
        std::chrono::seconds(60));
  };
  ASSERT_TRUE(answers("404")) << agent->Output();
  for (const bool first : {true, false}) {
    Replica& dies = first ? a() : b();
    Replica& stays = first ? b() : a();
    dies.Kill();
    ASSERT_TRUE(stays.Apply(Policy("all", "127.0.0.0/8")).ok());
    EXPECT_TRUE(answers("403")) << agent->Output();
    ASSERT_TRUE(stays.Apply(Policy("all", "192.0.2.0/24")).ok());
    EXPECT_TRUE(answers("404")) << agent->Output();
    dies.Start(prefix_);
  }
}

TEST_F(ReplicasTest, EachEtcdMemberMayBeKilledOrStopped) {
  web_.Connect(b().address());
  int count = 0;
  const auto works = [&](const std::string& what) {
    const std::string name = "p" + std::to_string(++count);
    // UNAVAILABLE may be answered while etcd elects a leader on a loaded machine: ask again, as
    // whoever gets that does. Nothing else may be.
    grpc::Status status;
    EXPECT_TRUE(lab::WaitUntil(
        [&] {
          status = a().Apply(Policy(name, "192.0.2.0/24"));
          return status.error_code() != grpc::StatusCode::UNAVAILABLE;
        },
        std::chrono::seconds(60)));
    EXPECT_TRUE(status.ok()) << what << ": " << status.error_message();
    EXPECT_TRUE(web_.WaitFor([&](const View& view) { return Has(Policies(view), name); })) << what;
  };
  works("all are there");
  for (int member = 0; member < cluster->size(); ++member) {
    const std::string name = "member " + std::to_string(member);
    cluster->Kill(member);
    works(name + " was killed");
    cluster->Start(member);
    works(name + " is back");
    cluster->Signal(member, SIGSTOP);
    works(name + " was stopped");
    cluster->Signal(member, SIGCONT);
    works(name + " goes on");
  }
}

TEST_F(ReplicasTest, WithoutEtcdAgentsAreServedAndChangesFailClearly) {
  ASSERT_TRUE(a().Apply(Policy("p", "192.0.2.0/24")).ok());
  web_.Connect(b().address());
  ASSERT_TRUE(web_.WaitFor([](const View& view) { return Has(Policies(view), "p"); }));
  EXPECT_THAT(b().Health(), HasSubstr("ok"));
  for (int member = 0; member < cluster->size(); ++member) cluster->Signal(member, SIGSTOP);

  EXPECT_THAT(b().Names(), Contains("p"));
  FakeAgent late("shop/late", "sidecar", "10.0.0.2");
  late.Connect(b().address());
  EXPECT_TRUE(late.WaitFor([](const View& view) { return Has(Policies(view), "p"); }));
  grpc::Status refused = b().Apply(Policy("q", "198.51.100.0/24"));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("etcd does not answer"));
  EXPECT_TRUE(lab::WaitUntil([&] { return b().Health().find("degraded") != std::string::npos; }));

  for (int member = 0; member < cluster->size(); ++member) cluster->Signal(member, SIGCONT);
  EXPECT_TRUE(lab::WaitUntil([&] { return a().Apply(Policy("r", "203.0.113.0/24")).ok(); },
                             std::chrono::seconds(60)));
  EXPECT_TRUE(web_.WaitFor([](const View& view) { return Has(Policies(view), "r"); }));
  EXPECT_FALSE(web_.view().ended);
  EXPECT_THAT(b().Names(), Not(Contains("q")));
  EXPECT_TRUE(lab::WaitUntil([&] { return b().Health() == "ok\n"; }));
}

TEST_F(ReplicasTest, EditorsAtBothLoseNothingAndAConditionHoldsForOne) {
  constexpr int kEach = 15;
  std::vector<std::thread> editors;
  for (int editor = 0; editor < 2; ++editor) {
    editors.emplace_back([this, editor] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = "p" + std::to_string(editor) + "-" + std::to_string(i);
        grpc::Status status =
            replicas_[static_cast<size_t>(editor)]->Apply(Policy(name, "192.0.2.0/24"));
        EXPECT_TRUE(status.ok()) << status.error_message();
      }
    });
  }
  for (std::thread& editor : editors) editor.join();
  v1::ApplyResponse last;
  ASSERT_TRUE(a().Apply(Policy("last", "192.0.2.0/24"), &last).ok());
  EXPECT_EQ(last.revision(), uint64_t{2 * kEach + 1});
  EXPECT_EQ(a().Names().size(), size_t{2 * kEach + 1});

  v1::ApplyRequest mine = Policy("x", "192.0.2.1"), theirs = Policy("x", "192.0.2.2");
  mine.set_if_revision(last.revision());
  theirs.set_if_revision(last.revision());
  grpc::Status results[2];
  std::thread other([&] { results[1] = b().Apply(theirs); });
  results[0] = a().Apply(mine);
  other.join();
  EXPECT_EQ(results[0].ok() + results[1].ok(), 1);
  for (const grpc::Status& result : results) {
    if (result.ok()) continue;
    EXPECT_EQ(result.error_code(), grpc::StatusCode::ABORTED) << result.error_message();
    EXPECT_THAT(result.error_message(), HasSubstr("at revision 32"));
  }
}

// 100,000 CIDRs here; by hand with WHENCE_TEST_CIDRS=1000000.
TEST_F(ReplicasTest, ALargeSetReachesAgentsOfBoth) {
  const char* asked = std::getenv("WHENCE_TEST_CIDRS");
  const auto count = static_cast<uint32_t>(asked ? std::atoi(asked) : 100'000);
  std::vector<net::Cidr> cidrs;
  for (uint32_t i = 0; i < count; ++i) {
    cidrs.emplace_back(net::IpAddress::FromV4(0x0a000000 + i * 2), 32);
  }
  FakeAgent other("shop/other", "sidecar", "10.0.0.3");
  const auto load = [&](const Replica& replica) {
    const net::PackedCidrs packed = net::Pack(cidrs);
    v1::ApplyRequest request;
    request.add_files()->set_content(
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: big, namespace: shop}\nspec: {}\n"
        "---\napiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec: {action: DENY, rules: [{from: [{source: {remoteIpSets: [big]}}]}]}\n");
    v1::IpSetContent* content = request.add_ip_sets();
    content->set_namespace_("shop");
    content->set_name("big");
    content->mutable_cidrs()->set_v4(packed.v4);
    content->set_version(net::VersionOf(packed));
    const auto begin = std::chrono::steady_clock::now();
    grpc::Status status = replica.Apply(request);
    EXPECT_TRUE(status.ok()) << status.error_message();
    const auto applied = std::chrono::steady_clock::now();
    for (FakeAgent* agent : {&web_, &other}) {
      EXPECT_TRUE(agent->WaitFor([&](const View& view) {
        auto set = view.sets.find("shop/big");
        return set != view.sets.end() && set->second == content->version();
      }));
    }
    const auto held = std::chrono::steady_clock::now();
    std::printf("%u CIDRs: applied in %.2f s, with agents of both replicas %.2f s later\n", count,
                std::chrono::duration<double>(applied - begin).count(),
                std::chrono::duration<double>(held - applied).count());
  };
  web_.Connect(b().address());
  other.Connect(a().address());
  load(a());
  for (uint32_t i = 0; i < 10; ++i) {
    cidrs[i * 7] = net::Cidr(net::IpAddress::FromV4(0xc0000200 + i), 32);
  }
  load(b());
  a().Stop();
  a().Start(prefix_);
  web_.Break();
  web_.Connect(a().address());
  EXPECT_TRUE(web_.GotNoBundle());
}

TEST_F(ReplicasTest, ACopyGoesBothWaysWithItsHistory) {
  for (int i = 0; i < 5; ++i) {
    v1::ApplyRequest request = Policy("p" + std::to_string(i % 2), "192.0.2." + std::to_string(i));
    request.set_author("ana");
    request.set_message("number " + std::to_string(i));
    ASSERT_TRUE(a().Apply(request).ok());
  }
  const std::string here = "etcd:" + cluster->endpoints(), file = "sqlite:" + folder + "copied";
  const auto ctl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), WHENCECTL_PROGRAM);
    return lab::Run(arguments);
  };
  const auto history = [&](const Replica& replica) {
    return ctl({"--control-plane", replica.address(), "history", "-o", "json"}).out +
           ctl({"--control-plane", replica.address(), "diff", "3", "4"}).out +
           ctl({"--control-plane", replica.address(), "get", "all", "-o", "yaml"}).out;
  };
  const std::string before = history(a());
  EXPECT_THAT(before, HasSubstr("number 4"));
  auto out = ctl({"store", "copy", "--from", here, "--to", file, "--etcd-prefix", prefix_});
  EXPECT_EQ(out.exit_code, 0) << out.err;
  EXPECT_EQ(out.out, "5 revisions copied; both are at revision 5\n");
  // Again: nothing is left to do. Onto another configuration: refused.
  out = ctl({"store", "copy", "--from", here, "--to", file, "--etcd-prefix", prefix_});
  EXPECT_EQ(out.out, "0 revisions copied; both are at revision 5\n") << out.err;

  const std::string other = prefix_ + "back/";
  out = ctl({"store", "copy", "--from", file, "--to", here, "--etcd-prefix", other});
  EXPECT_EQ(out.out, "5 revisions copied; both are at revision 5\n") << out.err;
  Replica copied(other, 9);
  EXPECT_EQ(history(copied), before);
  ASSERT_TRUE(copied.Apply(Policy("new", "192.0.2.9")).ok());
  ASSERT_TRUE(a().Apply(Policy("own", "192.0.2.9")).ok());
  out = ctl({"store", "copy", "--from", here, "--to", file, "--etcd-prefix", prefix_});
  EXPECT_EQ(out.out, "1 revisions copied; both are at revision 6\n") << out.err;
  out = ctl({"store", "copy", "--from", file, "--to", here, "--etcd-prefix", other});
  EXPECT_EQ(out.exit_code, 1);
  EXPECT_THAT(out.err, HasSubstr("a configuration of its own"));
}

}  // namespace
}  // namespace whence

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (whence::EtcdCluster::Program().empty()) return whence::EtcdCluster::Skip();
  std::string pattern =
      (std::filesystem::temp_directory_path() / "whence-replicas-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return 1;
  whence::folder = pattern + "/";
  whence::EtcdCluster three(3);
  whence::cluster = &three;
  const int result = RUN_ALL_TESTS();
  std::filesystem::remove_all(pattern);
  return result;
}
