#include "dataplane/intercept/installer.h"

#include <gtest/gtest.h>

#include "dataplane/intercept/check.h"
#include "tests/unit/dataplane/intercept/fake_kernel.h"

namespace whence::intercept {
namespace {

const Intent kIntents[] = {{}, {.mode = Mode::kRedirect}, {.on_exit = OnExit::kBypass}};

TEST(InstallerTest, RemoveRestores) {
  for (const Intent& intent : kIntents) {
    FakeKernel kernel;
    const FakeKernel::State before = kernel.state;
    ASSERT_TRUE(Install(kernel, intent).ok());
    EXPECT_FALSE(kernel.state == before);
    ASSERT_TRUE(Remove(kernel).ok());
    EXPECT_TRUE(kernel.state == before);
  }
}

TEST(InstallerTest, TwiceIsOnce) {
  for (const Intent& intent : kIntents) {
    FakeKernel kernel;
    ASSERT_TRUE(Install(kernel, intent).value().changed);
    const int changes = kernel.changes;
    EXPECT_FALSE(Install(kernel, intent).value().changed);
    EXPECT_EQ(kernel.changes, changes);
  }
}

TEST(InstallerTest, AFailingStepUndoesThoseBeforeIt) {
  for (const Intent& intent : kIntents) {
    bool passed = false;
    for (int n = 0; !passed; ++n) {
      FakeKernel kernel;
      const FakeKernel::State before = kernel.state;
      kernel.fail_at = n;
      const auto result = Install(kernel, intent);
      passed = result.ok();
      if (!passed) {
        EXPECT_TRUE(kernel.state == before) << "failing call " << n;
      }
      ASSERT_LT(n, 50);
    }
  }
}

TEST(InstallerTest, ADeathAtAnyStepLeavesEnoughBehindToRemove) {
  for (const Intent& intent : kIntents) {
    bool passed = false;
    for (int n = 0; !passed; ++n) {
      FakeKernel kernel;
      const FakeKernel::State before = kernel.state;
      kernel.fail_at = n;
      kernel.dead_after = true;
      passed = Install(kernel, intent).ok();
      kernel.fail_at = -1;
      ASSERT_TRUE(Remove(kernel).ok()) << n;
      EXPECT_TRUE(kernel.state == before) << "death at call " << n;
      ASSERT_LT(n, 50);
    }
  }
}

TEST(InstallerTest, ARemovalThatWasCutShortCanBeRepeated) {
  bool passed = false;
  for (int n = 0; !passed; ++n) {
    FakeKernel kernel;
    const FakeKernel::State before = kernel.state;
    ASSERT_TRUE(Install(kernel, {}).ok());
    kernel.fail_at = kernel.changes + n;
    kernel.dead_after = true;
    passed = Remove(kernel).ok();
    kernel.fail_at = -1;
    ASSERT_TRUE(Remove(kernel).ok()) << n;
    EXPECT_TRUE(kernel.state == before) << "death at call " << n;
    ASSERT_LT(n, 50);
  }
}

TEST(InstallerTest, AKernelWithoutIpv6IsToleratedAndSaid) {
  FakeKernel kernel;
  kernel.state.sysctls.erase("net.ipv6.fwmark_reflect");
  kernel.listener = {.ipv4 = true};
  const auto result = Install(kernel, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->has_ipv6);
  for (const FibRule& rule : kernel.state.rules) EXPECT_EQ(rule.family, Family::kIpv4);
  const CheckResult check = Check(kernel);
  EXPECT_TRUE(check.sound());
  EXPECT_EQ(check.findings[0].what, "this kernel has IPv6 disabled: IPv4 only");
}

TEST(InstallerTest, StrictReversePathIsLoosenedOnLoAndRestored) {
  FakeKernel kernel;
  ASSERT_TRUE(Install(kernel, {}).ok());
  EXPECT_EQ(kernel.state.sysctls["net.ipv4.conf.lo.rp_filter"], "2");
  EXPECT_EQ(kernel.state.sysctls["net.ipv4.conf.all.rp_filter"], "1");
  // A second installation sees the loosened value; the first one's memory must survive it.
  ASSERT_TRUE(Install(kernel, {.exclude_ports = {22}}).ok());
  ASSERT_TRUE(Remove(kernel).ok());
  EXPECT_EQ(kernel.state.sysctls["net.ipv4.conf.lo.rp_filter"], "0");
}

TEST(InstallerTest, OthersRulesRoutesAndAddressesStay) {
  FakeKernel kernel;
  kernel.state.rules.push_back({Family::kIpv4, 0, 0, 0, 255, 2});
  kernel.state.rules.push_back({Family::kIpv4, 100, 0x40, 0xff, 50, 3});
  kernel.state.routes.push_back({Family::kIpv4, 50, 3});
  kernel.state.loopback_six = true;
  const FakeKernel::State before = kernel.state;
  ASSERT_TRUE(Install(kernel, {.mode = Mode::kRedirect}).ok());
  ASSERT_TRUE(Install(kernel, {}).ok());
  ASSERT_TRUE(Remove(kernel).ok());
  EXPECT_TRUE(kernel.state == before);
}

TEST(InstallerTest, ConflictsNameTheOtherAndTheFlag) {
  FakeKernel kernel;
  kernel.state.rules.push_back({Family::kIpv6, 9, 0x539, 0xfff, 200, 16});
  kernel.state.rules.push_back({Family::kIpv4, 10, 0x1, 0x1, 133, 0});
  const auto conflicts = FindConflicts(kernel, {});
  ASSERT_TRUE(conflicts.ok());
  EXPECT_EQ(*conflicts,
            (std::vector<std::string>{
                "ip -6 rule 9 (proto 16) matches our mark 0x539 (fwmark 0x539/0xfff lookup 200); "
                "choose another: --packet-mark N",
                "ip rule 10 (proto 0) already looks up table 133; choose another: --table N",
                "ip rule 10 (proto 0) matches our mark 0x539 (fwmark 0x1/0x1 lookup 133); choose "
                "another: --packet-mark N"}));
  const int changes = kernel.changes;
  EXPECT_EQ(Install(kernel, {}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(kernel.changes, changes);
}

TEST(InstallerTest, ATableOfSomeoneElseIsNeitherReplacedNorRemoved) {
  FakeKernel kernel;
  kernel.state.table = "table inet whence {\n}\n";
  EXPECT_EQ(Install(kernel, {}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Remove(kernel).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(kernel.state.table, "table inet whence {\n}\n");
  EXPECT_FALSE(Check(kernel).sound());
}

}  // namespace
}  // namespace whence::intercept
