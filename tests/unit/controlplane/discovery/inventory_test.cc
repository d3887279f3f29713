#include "controlplane/discovery/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/discovery/debounce.h"

namespace whence::discovery {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakeClock final : public Clock {
 public:
  WallTime Now() const override { return WallTime(1700000000s + elapsed_); }
  SteadyTime SteadyNow() const override { return SteadyTime(1000s + elapsed_); }
  void Advance(std::chrono::milliseconds by) { elapsed_ += by; }

 private:
  std::chrono::milliseconds elapsed_{0};
};

Agent MakeAgent(const std::string& id, std::vector<std::string> addresses,
                trust::Role role = trust::Role::kSidecar) {
  Agent agent;
  agent.id = id;
  agent.workload.namespace_ = id.substr(0, id.find('/'));
  agent.workload.name = id.substr(id.find('/') + 1);
  agent.workload.role = role;
  for (const std::string& text : addresses) {
    agent.workload.addresses.push_back(*net::IpAddress::Parse(text));
  }
  return agent;
}

class InventoryTest : public testing::Test {
 protected:
  Inventory::Session Connect(const std::string& id, std::vector<std::string> addresses) {
    return inventory_.Connect(
        MakeAgent(id, std::move(addresses)),
        [this, id](const auto& status) {
          closed_.push_back(id + " " + std::string(status.ok() ? "ok" : "aborted"));
        },
        [this] { return progress_; });
  }
  // "a/b 10.0.0.1", one per workload.
  std::vector<std::string> Workloads() const {
    std::vector<std::string> list;
    for (const bundle::Workload& workload : inventory_.View()->workloads) {
      std::string text = workload.namespace_ + "/" + workload.name;
      for (const auto& address : workload.addresses) text += " " + address.ToString();
      list.push_back(text);
    }
    return list;
  }

  FakeClock clock_;
  Inventory inventory_{clock_, {.grace = 15s, .restart_grace = 75s}};
  std::vector<std::string> closed_;
  Progress progress_;  // every agent's
};

TEST_F(InventoryTest, ABrokenStreamLingersAndAReconnectChangesNothing) {
  Inventory::Session first = Connect("a/b", {"10.0.0.1"});
  uint64_t generation = inventory_.View()->generation;
  EXPECT_EQ(first.generation, generation);
  inventory_.Disconnect(first.id, false);
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
  EXPECT_THAT(inventory_.ListAgents(), IsEmpty());
  clock_.Advance(14s);
  inventory_.Expire();
  EXPECT_EQ(Connect("a/b", {"10.0.0.1"}).generation, generation);
  EXPECT_EQ(inventory_.View()->generation, generation);
  clock_.Advance(60s);
  inventory_.Expire();
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
  EXPECT_THAT(closed_, IsEmpty());
}

TEST_F(InventoryTest, ABrokenStreamLeavesWhenItsGraceIsOver) {
  Inventory::Session session = Connect("a/b", {"10.0.0.1"});
  EXPECT_EQ(inventory_.NextExpiry(), std::nullopt);
  inventory_.Disconnect(session.id, false);
  EXPECT_EQ(inventory_.NextExpiry(), clock_.SteadyNow() + 15s);
  clock_.Advance(15s);
  inventory_.Expire();
  EXPECT_THAT(Workloads(), IsEmpty());
  EXPECT_EQ(inventory_.NextExpiry(), std::nullopt);
}

TEST_F(InventoryTest, WhoBrokeOffAndDidNotComeBackIsLost) {
  const Inventory::Session broken = Connect("a/broken", {"10.0.0.1"});
  const Inventory::Session brief = Connect("a/brief", {"10.0.0.2"});
  const Inventory::Session gone = Connect("a/gone", {"10.0.0.3"});
  inventory_.Disconnect(broken.id, false);
  inventory_.Disconnect(brief.id, false);
  inventory_.Disconnect(gone.id, /*farewell=*/true);
  EXPECT_THAT(inventory_.Lost(), IsEmpty());  // most come back at once
  Connect("a/brief", {"10.0.0.2"});
  clock_.Advance(4s);
  EXPECT_THAT(inventory_.Lost(), ElementsAre("a/broken"));
  // It is remembered longer than its addresses are served.
  clock_.Advance(60s);
  inventory_.Expire();
  EXPECT_THAT(Workloads(), ElementsAre("a/brief 10.0.0.2"));
  EXPECT_THAT(inventory_.Lost(), ElementsAre("a/broken"));
  clock_.Advance(10min);
  inventory_.Expire();
  EXPECT_THAT(inventory_.Lost(), IsEmpty());
}

TEST_F(InventoryTest, AFarewellLeavesAtOnce) {
  inventory_.Disconnect(Connect("a/b", {"10.0.0.1"}).id, true);
  EXPECT_THAT(Workloads(), IsEmpty());
}

TEST_F(InventoryTest, TheNewestStreamOfAnIdWinsAndTheOldOneIsClosed) {
  Inventory::Session old_session = Connect("a/b", {"10.0.0.1"});
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
  Inventory::Session new_session = Connect("a/b", {"10.0.0.2"});
  EXPECT_THAT(closed_, ElementsAre("a/b aborted"));
  EXPECT_EQ(inventory_.conflicts(), 1u);
  EXPECT_GT(new_session.generation, old_session.generation);
  // The old stream ends later, and says farewell: that is not the new one's.
  inventory_.Disconnect(old_session.id, true);
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.2"));
  EXPECT_EQ(inventory_.connected(), 1u);
  EXPECT_EQ(inventory_.ListAgents().size(), 1u);
}

TEST_F(InventoryTest, AnAddressClaimedByAnotherIsNotInheritedFromTheDeparted) {
  Inventory::Session gateway = Connect("a/gateway", {"10.0.0.1", "10.0.0.2"});
  clock_.Advance(1s);
  inventory_.Disconnect(gateway.id, false);
  clock_.Advance(1s);
  Connect("a/newcomer", {"10.0.0.1"});
  EXPECT_THAT(Workloads(), ElementsAre("a/gateway 10.0.0.2", "a/newcomer 10.0.0.1"));
}

// With a certificate, and a connection from one of them.
Agent Certified(const std::string& id, std::vector<std::string> addresses,
                const std::string& proven = "") {
  Agent agent = MakeAgent(id, std::move(addresses));
  v1::AgentProof proof;
  if (!proven.empty()) proof.add_addresses(proven);
  Believe(proof, &agent);
  return agent;
}

TEST_F(InventoryTest, AnAddressThatOneProvesIsNobodysWhoOnlyClaimsIt) {
  const auto ignore = [](const absl::Status&) {};
  const auto session = inventory_.Connect(Certified("a/victim", {"10.0.0.1"}, "10.0.0.1"), ignore);
  EXPECT_THAT(session.disputed, IsEmpty());
  const auto thief = inventory_.Connect(Certified("a/thief", {"10.0.0.9", "10.0.0.1"}), ignore);
  EXPECT_THAT(thief.disputed, ElementsAre(*net::IpAddress::Parse("10.0.0.1")));
  EXPECT_THAT(Workloads(), ElementsAre("a/thief 10.0.0.9", "a/victim 10.0.0.1"));
  // Nor while the other one is away for a moment, after which the claim begins anew.
  inventory_.Disconnect(session.id, false);
  inventory_.Disconnect(thief.id, true);
  clock_.Advance(1s);
  inventory_.Connect(Certified("a/thief", {"10.0.0.1"}), ignore);
  EXPECT_THAT(Workloads(), ElementsAre("a/thief", "a/victim 10.0.0.1"));
  // Who proves it has it at once.
  clock_.Advance(1s);
  inventory_.Connect(Certified("a/heir", {"10.0.0.1"}, "10.0.0.1"), ignore);
  EXPECT_THAT(Workloads(), ElementsAre("a/heir 10.0.0.1", "a/thief", "a/victim"));
}

TEST_F(InventoryTest, AmongClaimsThatNobodyProvesTheNewestHoldsAsWithoutCertificates) {
  const auto ignore = [](const absl::Status&) {};
  const auto session = inventory_.Connect(Certified("a/pod", {"2001:db8::1"}), ignore);
  inventory_.Disconnect(session.id, false);
  clock_.Advance(1s);
  EXPECT_THAT(inventory_.Connect(Certified("a/next", {"2001:db8::1"}), ignore).disputed, IsEmpty());
  EXPECT_THAT(Workloads(), ElementsAre("a/next 2001:db8::1", "a/pod"));
}

TEST_F(InventoryTest, SharedHostAddressesStayWithBoth) {
  Connect("a/node", {"10.0.0.1"});
  clock_.Advance(1s);
  Inventory::Session gateway = Connect("a/gateway", {"10.0.0.1"});
  clock_.Advance(1s);
  uint64_t generation = inventory_.View()->generation;
  inventory_.Disconnect(gateway.id, false);
  Connect("a/node", {"10.0.0.1"});  // A reconnect claims nothing new.
  EXPECT_EQ(inventory_.View()->generation, generation);
}

TEST_F(InventoryTest, AfterARestartTheRememberedStayUntilTheirGraceIsOver) {
  inventory_.Remember({MakeAgent("a/b", {"10.0.0.1"}), MakeAgent("a/c", {"10.0.0.2"})});
  uint64_t generation = inventory_.View()->generation;
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1", "a/c 10.0.0.2"));
  EXPECT_THAT(inventory_.ListAgents(), IsEmpty());
  clock_.Advance(70s);
  EXPECT_EQ(Connect("a/b", {"10.0.0.1"}).generation, generation);
  clock_.Advance(5s);
  inventory_.Expire();
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
}

TEST_F(InventoryTest, ListsWhatEachAgentWasSentAndRefused) {
  Connect("a/b", {"10.0.0.1"});
  progress_ = {.sent_revision = 7, .acked_revision = 6, .waiting_since = clock_.SteadyNow()};
  progress_.types = {{.type_url = "t/WorkloadBundle",
                      .short_name = "WorkloadBundle",
                      .resources = {{"a/b", {"v2", "v1", "v2", "trust: bad"}}}}};
  clock_.Advance(250ms);
  std::vector<v1::AgentState> agents = inventory_.ListAgents();
  ASSERT_EQ(agents.size(), 1u);
  EXPECT_EQ(agents[0].connected_since_us(), 1700000000000000);
  EXPECT_EQ(agents[0].sent_revision(), 7u);
  EXPECT_EQ(agents[0].acked_revision(), 6u);
  EXPECT_EQ(agents[0].lag_us(), 250000);
  ASSERT_EQ(agents[0].resources_size(), 1);
  EXPECT_EQ(agents[0].resources(0).type(), "WorkloadBundle");
  EXPECT_EQ(agents[0].resources(0).acked_version(), "v1");
  EXPECT_EQ(agents[0].resources(0).refused_version(), "v2");
  EXPECT_EQ(agents[0].resources(0).error(), "trust: bad");
}

TEST_F(InventoryTest, TellsOfNewViewsAndOfNewExpiries) {
  int told = 0;
  inventory_.SetListener([&told] { ++told; });
  Inventory::Session session = Connect("a/b", {"10.0.0.1"});
  EXPECT_EQ(told, 1);
  inventory_.Disconnect(session.id, false);
  EXPECT_EQ(told, 2);
  session = Connect("a/b", {"10.0.0.1"});
  EXPECT_EQ(told, 2);
}

TEST(DebounceTest, WaitsForQuietButNotForEver) {
  Debounce debounce(50ms, 1s);
  SteadyTime start(10s);
  EXPECT_EQ(debounce.Due(), std::nullopt);
  debounce.OnChange(start);
  EXPECT_EQ(debounce.Due(), start + 50ms);
  debounce.OnChange(start + 40ms);
  EXPECT_EQ(debounce.Due(), start + 90ms);
  for (auto at = start + 40ms; at < start + 2s; at += 10ms) debounce.OnChange(at);
  EXPECT_EQ(debounce.Due(), start + 1s);
  debounce.Done();
  EXPECT_EQ(debounce.Due(), std::nullopt);
  debounce.OnChange(start + 3s);
  EXPECT_EQ(debounce.Due(), start + 3s + 50ms);
}

// ---- Agents of other control planes ----

using State = LocalAgent::State;

TEST_F(InventoryTest, AnAgentElsewhereIsAWorkloadHereAndNotOneOfOurs) {
  inventory_.ConnectElsewhere(MakeAgent("a/b", {"10.0.0.1"}));
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
  EXPECT_THAT(inventory_.ListAgents(), IsEmpty());
  EXPECT_EQ(inventory_.Local("a/b").state, State::kElsewhere);
  const uint64_t generation = inventory_.View()->generation;
  // It moves here and back: nothing that is served changes.
  Connect("a/b", {"10.0.0.1"});
  EXPECT_EQ(inventory_.Local("a/b").state, State::kConnected);
  inventory_.ConnectElsewhere(MakeAgent("a/b", {"10.0.0.1"}));
  EXPECT_THAT(closed_, ElementsAre("a/b aborted"));
  EXPECT_EQ(inventory_.Local("a/b").state, State::kElsewhere);
  EXPECT_EQ(inventory_.connected(), 0u);
  EXPECT_EQ(inventory_.View()->generation, generation);
  inventory_.LeaveElsewhere("a/b");
  EXPECT_THAT(Workloads(), IsEmpty());
}

TEST_F(InventoryTest, ALateWordFromElsewhereDoesNotTouchWhoIsConnectedHere) {
  Inventory::Session session = Connect("a/b", {"10.0.0.1"});
  inventory_.BreakElsewhere(MakeAgent("a/b", {"10.0.0.9"}), true);
  inventory_.LeaveElsewhere("a/b");
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
  EXPECT_THAT(closed_, IsEmpty());
  // Nor who lingers here.
  inventory_.Disconnect(session.id, false);
  EXPECT_EQ(inventory_.Local("a/b").state, State::kBroken);
  inventory_.LeaveElsewhere("a/b");
  EXPECT_THAT(Workloads(), ElementsAre("a/b 10.0.0.1"));
}

TEST_F(InventoryTest, AnAgentThatBreaksElsewhereLingersLongerIfItsControlPlaneIsGone) {
  inventory_.ConnectElsewhere(MakeAgent("a/b", {"10.0.0.1"}));
  inventory_.ConnectElsewhere(MakeAgent("a/c", {"10.0.0.2"}));
  inventory_.BreakElsewhere(MakeAgent("a/b", {"10.0.0.1"}), false);
  inventory_.BreakElsewhere(MakeAgent("a/c", {"10.0.0.2"}), true);
  clock_.Advance(14s);
  inventory_.BreakElsewhere(MakeAgent("a/b", {"10.0.0.1"}), true);  // said again: no longer
  clock_.Advance(1s);
  std::vector<std::string> told;
  inventory_.SetLocalListener([&](const std::string& id) { told.push_back(id); });
  inventory_.Expire();
  EXPECT_THAT(Workloads(), ElementsAre("a/c 10.0.0.2"));
  EXPECT_THAT(told, ElementsAre("a/b"));
  EXPECT_EQ(inventory_.Local("a/b").state, State::kGone);
  clock_.Advance(60s);
  inventory_.Expire();
  EXPECT_THAT(Workloads(), IsEmpty());
}

TEST_F(InventoryTest, AnAddressIsNotInheritedAcrossControlPlanes) {
  inventory_.ConnectElsewhere(MakeAgent("a/gate", {"10.0.0.9"}, trust::Role::kGateway));
  inventory_.BreakElsewhere(MakeAgent("a/gate", {"10.0.0.9"}, trust::Role::kGateway), true);
  clock_.Advance(1s);
  Inventory::Session here = Connect("a/new", {"10.0.0.9"});
  EXPECT_THAT(Workloads(), ElementsAre("a/gate", "a/new 10.0.0.9"));
  // And the other way round.
  inventory_.Disconnect(here.id, false);
  clock_.Advance(1s);
  inventory_.ConnectElsewhere(MakeAgent("a/next", {"10.0.0.9"}));
  EXPECT_THAT(Workloads(), ElementsAre("a/gate", "a/new", "a/next 10.0.0.9"));
}

}  // namespace
}  // namespace whence::discovery
