// The network by itself, with the echo server where the gateway will be: which source address
// arrives decides every row of the article, so it is proven before any program of ours takes part.
#include "tests/lab/network.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/lab/http.h"
#include "tests/lab/lab.h"
#include "tests/lab/programs.h"

namespace whence::lab {
namespace {

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto lab = Lab::Create(Lab::UniqueName("nettest"));
    ASSERT_TRUE(lab.ok()) << lab.status();
    lab_ = *std::move(lab);
    ASSERT_EQ(BuildNetwork(*lab_), absl::OkStatus());
  }

  void StartEcho(const Host& pod, const std::string& port) {
    auto echo = Process::Start({.command = {ProgramPath("whence-echo"), "--http", port},
                                .netns = lab_->Space(pod.name).path(),
                                .output = lab_->directory() + "/echo-" + pod.name});
    ASSERT_TRUE(echo.ok()) << echo.status();
    echoes_.push_back(*std::move(echo));
    ASSERT_TRUE(WaitUntil([&] {
      return echoes_.back().Output().find("ready") != std::string::npos;
    })) << echoes_.back().Output();
  }

  Seen See(const Host& from, const std::string& address, uint16_t port) {
    auto answer = Ask(lab_->Space(from.name), address, port, {});
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return {};
    auto seen = ParseSeen(*answer);
    EXPECT_TRUE(seen.ok()) << seen.status();
    return seen.ok() ? *std::move(seen) : Seen{};
  }

  std::unique_ptr<Lab> lab_;
  std::vector<Process> echoes_;
};

TEST_F(NetworkTest, LocalPolicyShowsTheClient) {
  StartEcho(kGateway, "80");
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const Seen seen = See(kClient, kLoadBalancer.address(family), 80);
    EXPECT_EQ(seen.peer, kClient.address(family));
    EXPECT_EQ(seen.local, kGateway.address(family));
  }
}

TEST_F(NetworkTest, ClusterPolicyShowsTheNode) {
  StartEcho(kGateway, "80");
  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kCluster), absl::OkStatus());
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(See(kClient, kLoadBalancer.address(family), 80).peer, kNode54.address(family));
  }
  // And back: a policy change must not need a new lab.
  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kLocal), absl::OkStatus());
  EXPECT_EQ(See(kClient, kLoadBalancer.v4, 80).peer, kClient.v4);
}

TEST_F(NetworkTest, PodsSeeEachOtherAcrossNodesAndOnOne) {
  StartEcho(kEcho, "8080");
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(See(kSleep, kEcho.address(family), 8080).peer, kSleep.address(family));
    EXPECT_EQ(See(kGateway, kEcho.address(family), 8080).peer, kGateway.address(family));
  }
}

TEST_F(NetworkTest, PodsReachTheControlPlaneHost) {
  auto echo = Process::Start({.command = {ProgramPath("whence-echo"), "--http", "15010"},
                              .netns = lab_->Space(kControl.name).path(),
                              .output = lab_->directory() + "/echo-control"});
  ASSERT_TRUE(echo.ok());
  ASSERT_TRUE(WaitUntil([&] { return echo->Output().find("ready") != std::string::npos; }));
  for (const Host& pod : kPods) EXPECT_EQ(See(pod, kControl.v4, 15010).peer, pod.v4);
}

TEST(LabTest, NothingStaysBehind) {
  const std::string name = Lab::UniqueName("nettest");
  pid_t pid = 0;
  {
    auto lab = Lab::Create(name);
    ASSERT_TRUE(lab.ok()) << lab.status();
    ASSERT_EQ(BuildNetwork(**lab), absl::OkStatus());
    // A process nobody looks after, as a crashed lab would leave it.
    auto process = Process::Start({.command = {ProgramPath("whence-echo")},
                                   .netns = (*lab)->Space("echo").path(),
                                   .output = (*lab)->directory() + "/echo",
                                   .detached = true});
    ASSERT_TRUE(process.ok());
    pid = process->pid();
    EXPECT_TRUE((*lab)->Space("echo").Exists());
  }
  EXPECT_FALSE(Namespace("whence." + name + ".echo").Exists());
  EXPECT_EQ(Lab::Remove(name).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(WaitUntil([&] { return waitpid(pid, nullptr, WNOHANG) != 0; }));
}

TEST(LabTest, TheGuardianRemovesALabWhoseOwnerWasKilled) {
  const std::string name = Lab::UniqueName("nettest");
  const pid_t owner = fork();
  if (owner == 0) {
    auto lab = Lab::Create(name);
    if (!lab.ok() || !BuildNetwork(**lab).ok()) _exit(1);
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(owner, &status, 0), owner);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(WaitUntil([&] {
    return !Namespace("whence." + name + ".echo").Exists() &&
           Lab::Remove(name).code() == absl::StatusCode::kNotFound;
  }));
}

TEST(LabTest, RefusesANameThatCouldReachAnother) {
  for (const char* name : {"", "a.b", "../etc", "Lab"}) {
    EXPECT_EQ(Lab::Create(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

}  // namespace
}  // namespace whence::lab
