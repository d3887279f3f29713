// history, diff, rollback and what becomes of two editors, as typed, against the real services.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/controlplane/ctl/ctl_fixture.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class HistoryTest : public CtlFixture {
 protected:
  static std::string Policy(const std::string& cidr, const std::string& name = "edge") {
    return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " + name +
           ", namespace: shop}\nspec:\n  action: DENY\n  rules:\n  - from:\n    - source:\n"
           "        remoteIpBlocks: [" +
           cidr + "]\n";
  }
  int Apply(const std::string& text, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"apply", "-f", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Ctl(arguments, text);
  }
  std::string GetYaml() {
    EXPECT_EQ(Ctl({"get", "policies", "-n", "shop", "-o", "yaml"}), 0) << err_;
    return out_;
  }
  static std::string Replaced(std::string text, const std::string& from, const std::string& to) {
    EXPECT_NE(text.find(from), std::string::npos) << text;
    return text.replace(text.find(from), from.size(), to);
  }
};

TEST_F(HistoryTest, SaysWhoChangedWhatWhenAndWhy) {
  EXPECT_EQ(Ctl({"history"}), 0);
  EXPECT_THAT(err_, HasSubstr("nothing was ever applied"));
  ASSERT_EQ(Apply(Policy("192.0.2.0/24"), {"-m", "shut out the test net"}), 0) << err_;
  ASSERT_EQ(Apply(Policy("198.51.100.0/24") + "---\n" + Policy("10.0.0.0/8", "b") + "---\n" +
                  Policy("10.0.0.0/8", "c")),
            0);
  ASSERT_EQ(Ctl({"delete", "ippolicy", "b", "-n", "shop", "-m", "not needed"}), 0) << err_;
  ASSERT_EQ(Ctl({"history"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("REVISION  TIME"));
  EXPECT_THAT(out_, HasSubstr("(unverified)"));
  EXPECT_THAT(out_, HasSubstr("shut out the test net  AuthorizationPolicy shop/edge created"));
  EXPECT_THAT(out_, HasSubstr("and 1 more"));
  EXPECT_THAT(out_, HasSubstr("not needed"));
  EXPECT_LT(out_.find("not needed"), out_.find("shut out"));
  ASSERT_EQ(Ctl({"history", "--limit", "1", "--before", "3", "-o", "json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"revision\": \"2\""));
  EXPECT_THAT(out_, HasSubstr("\"authorVerified\": false"));
  EXPECT_THAT(out_, Not(HasSubstr("test net")));
  // It outlives the process.
  Restart();
  ASSERT_EQ(Ctl({"history", "--limit", "1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("not needed"));
}

TEST_F(HistoryTest, DiffSaysWhatApplyWouldChangeAndExitsAsDiffDoes) {
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, Policy("192.0.2.0/24")), 1);
  EXPECT_THAT(out_, StartsWith("--- /dev/null\n+++ AuthorizationPolicy shop/edge (as given)\n"));
  ASSERT_EQ(Apply(Policy("192.0.2.0/24")), 0);
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, Policy("192.0.2.0/24")), 0);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, Policy("192.0.2.0/25")), 1);
  EXPECT_THAT(out_, HasSubstr("--- AuthorizationPolicy shop/edge (revision 1)\n"));
  EXPECT_THAT(out_, HasSubstr("\n-        - 192.0.2.0/24\n+        - 192.0.2.0/25\n"));
  EXPECT_EQ(Ctl({"diff", "-f", "-", "-o", "json"}, Policy("192.0.2.0/25")), 1);
  EXPECT_THAT(out_, HasSubstr("\"action\": \"UPDATED\""));
  // Trouble is no difference.
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, Policy("192.0.2/24")), 2);
  EXPECT_THAT(err_, HasSubstr("remoteIpBlocks[0]"));
  EXPECT_EQ(Ctl({"diff", "-f", directory_ + "/none.yaml"}), 2);
  EXPECT_EQ(Ctl({"diff", "7"}), 2);
  EXPECT_THAT(err_, HasSubstr("there is no revision 7"));
  EXPECT_EQ(Ctl({"diff"}), 2);
  EXPECT_EQ(Ctl({"history"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("192.0.2.0/25")));
}

TEST_F(HistoryTest, DiffOfTwoRevisions) {
  ASSERT_EQ(Apply(Policy("192.0.2.0/24")), 0);
  ASSERT_EQ(Apply(Policy("192.0.2.0/25") + "---\n" + Policy("10.0.0.0/8", "b")), 0);
  ASSERT_EQ(Ctl({"delete", "policy", "b", "-n", "shop"}), 0) << err_;
  EXPECT_EQ(Ctl({"diff", "1", "2"}), 1);
  EXPECT_THAT(out_, HasSubstr("+++ AuthorizationPolicy shop/b (revision 2)\n@@ -0,0 +1"));
  EXPECT_THAT(out_, HasSubstr("-        - 192.0.2.0/24"));
  EXPECT_EQ(Ctl({"diff", "2"}), 1);
  EXPECT_THAT(out_, HasSubstr("(revision 2)\n+++ /dev/null\n"));
  EXPECT_EQ(Ctl({"diff", "3", "3"}), 0);
  EXPECT_EQ(Ctl({"diff", "0", "3"}), 1);
}

TEST_F(HistoryTest, RollbackIsANewRevisionWithWhatWas) {
  ASSERT_EQ(Apply(Policy("192.0.2.0/24")), 0);
  const std::string before = GetYaml();
  ASSERT_EQ(Apply(Policy("192.0.2.0/25") + "---\n" + Policy("10.0.0.0/8", "b"), {"-m", "oops"}), 0);
  ASSERT_EQ(Ctl({"rollback", "1", "--dry-run"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("AuthorizationPolicy shop/edge updated (dry run)"));
  EXPECT_THAT(out_, HasSubstr("AuthorizationPolicy shop/b deleted (dry run)"));
  EXPECT_THAT(err_, MatchesRegex("warning: revision 1: .* no proxy is trusted.*\n"
                                 "warning: undoes revision 2, of .*: oops\n"));
  ASSERT_EQ(Ctl({"rollback", "1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("revision 3"));
  EXPECT_EQ(GetYaml(), Replaced(before, "revision-1", "revision-3"));
  ASSERT_EQ(Ctl({"history", "--limit", "1"}), 0);
  EXPECT_THAT(out_, HasSubstr("rollback to revision 1"));
  EXPECT_EQ(Ctl({"rollback", "1"}), 0);
  EXPECT_THAT(out_, HasSubstr("nothing to change"));
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Ctl({"rollback", "9"}), 1);
  EXPECT_THAT(err_, HasSubstr("there is no revision 9"));
  EXPECT_EQ(Ctl({"rollback", "0"}), 2);
}

// What was applied once is not looked at with less care for that.
TEST_F(HistoryTest, RollbackWarnsAsApplyDoes) {
  const auto policy = [](const std::string& cidr) {
    return Replaced(Policy(cidr), "remoteIpBlocks", "ipBlocks");
  };
  ASSERT_EQ(Apply(policy("192.0.2.7/24")), 0);
  EXPECT_THAT(err_, HasSubstr("192.0.2.0/24, 256 addresses"));
  ASSERT_EQ(Apply(policy("192.0.2.0/25")), 0);
  EXPECT_EQ(err_, "");
  EXPECT_EQ(Ctl({"rollback", "1"}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: revision 1: AuthorizationPolicy shop/edge: "
                              "spec.rules[0].from[0].source.ipBlocks[0]: "));
  EXPECT_THAT(err_, HasSubstr("192.0.2.0/24, 256 addresses"));
  EXPECT_THAT(err_, HasSubstr("warning: undoes revision 2"));
}

TEST_F(HistoryTest, StrictRollbackRefusesWhatStrictApplyRefuses) {
  const auto policy = [](const std::string& cidr) {
    return Replaced(Policy(cidr), "remoteIpBlocks", "ipBlocks");
  };
  ASSERT_EQ(Apply(policy("192.0.2.7/24")), 0);
  ASSERT_EQ(Apply(policy("192.0.2.0/25"), {"--strict"}), 0) << err_;
  ASSERT_EQ(Apply(policy("192.0.2.0/26"), {"--strict"}), 0) << err_;
  const std::string before = GetYaml();
  EXPECT_EQ(Ctl({"rollback", "1", "--strict"}), 1);
  EXPECT_THAT(err_, HasSubstr("\nrevision 1: AuthorizationPolicy shop/edge: "
                              "spec.rules[0].from[0].source.ipBlocks[0]: "));
  EXPECT_THAT(err_, HasSubstr("nothing was changed: 1 fault"));
  EXPECT_EQ(Ctl({"rollback", "1", "--strict", "--dry-run"}), 1);
  EXPECT_EQ(GetYaml(), before);
  // Where there is nothing to warn of but that it goes back, it goes back.
  EXPECT_EQ(Ctl({"rollback", "2", "--strict"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("warning: undoes revision 3"));
  EXPECT_THAT(out_, HasSubstr("revision 4"));
  // The environment says so as well.
  ASSERT_EQ(setenv("WHENCE_STRICT", "true", 1), 0);
  EXPECT_EQ(Ctl({"rollback", "1"}), 1);
  ASSERT_EQ(unsetenv("WHENCE_STRICT"), 0);
  EXPECT_THAT(err_, HasSubstr("nothing was changed: 1 fault"));
  EXPECT_EQ(Ctl({"rollback", "1"}), 0) << err_;
}

// Fifty thousand entries, of which three change: nobody wants to read the others.
TEST_F(HistoryTest, LargeSetsAreComparedAndGoBack) {
  const auto feed = [this](const std::string& name, int begin, const std::string& more) {
    std::string text;
    for (int i = begin; i < 50'000; ++i) {
      text += "10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/24\n";
    }
    std::ofstream(directory_ + "/" + name) << text << more;
    return directory_ + "/" + name;
  };
  const std::string first = feed("first", 0, ""), second = feed("second", 2, "2001:db8::/32\n");
  ASSERT_EQ(Ctl({"ipset", "load", "feed", first, "-n", "shop"}), 0) << err_;
  ASSERT_EQ(Ctl({"ipset", "load", "feed", second, "-n", "shop"}), 0) << err_;
  ASSERT_EQ(Ctl({"delete", "ipset", "feed", "-n", "shop"}), 0) << err_;

  EXPECT_EQ(Ctl({"diff", "1", "2"}), 1);
  EXPECT_THAT(out_,
              HasSubstr("--- IpSet shop/feed (revision 1)\n+++ IpSet shop/feed (revision 2)\n"));
  EXPECT_THAT(out_, HasSubstr("\n-  - 10.0.0.0/24\n-  - 10.0.1.0/24\n+  - \"2001:db8::/32\"\n"));
  EXPECT_THAT(out_, Not(HasSubstr("10.0.2.0/24")));

  ASSERT_EQ(Ctl({"rollback", "1", "--dry-run"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("IpSet shop/feed created (dry run)"));
  ASSERT_EQ(Ctl({"rollback", "1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("IpSet shop/feed created\nrevision 4\n"));
  EXPECT_EQ(Ctl({"diff", "1", "4"}), 0) << out_;
  ASSERT_EQ(Ctl({"rollback", "2"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("IpSet shop/feed updated\nrevision 5\n"));
  EXPECT_EQ(Ctl({"diff", "2", "5"}), 0) << out_;
  Restart();
  EXPECT_EQ(Ctl({"diff", "2"}), 0) << out_ << err_;

  // As a file as well: what it would change, and that the same changes nothing.
  const std::string document =
      "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: feed, namespace: shop}\n"
      "spec: {file: FILE}\n";
  std::ofstream(directory_ + "/set.yaml") << Replaced(document, "FILE", "first");
  EXPECT_EQ(Ctl({"diff", "-f", directory_ + "/set.yaml"}), 1) << err_;
  EXPECT_THAT(out_, HasSubstr("\n-  - \"2001:db8::/32\"\n+  - 10.0.0.0/24\n+  - 10.0.1.0/24\n"));
  EXPECT_THAT(out_, Not(HasSubstr("10.0.2.0/24")));
  std::ofstream(directory_ + "/set.yaml") << Replaced(document, "FILE", "second");
  EXPECT_EQ(Ctl({"diff", "-f", directory_ + "/set.yaml"}), 0) << out_ << err_;
}

TEST_F(HistoryTest, ADocumentThatSomebodyElseChangedIsNotOverwritten) {
  ASSERT_EQ(Apply(Policy("192.0.2.0/24")), 0);
  const std::string mine = GetYaml();
  EXPECT_THAT(mine, HasSubstr("resourceVersion: revision-1\n"));
  ASSERT_EQ(Apply(Policy("198.51.100.0/24")), 0);
  EXPECT_EQ(Apply(Replaced(mine, "192.0.2.0/24", "10.0.0.0/8")), 1);
  EXPECT_THAT(err_, MatchesRegex("whencectl: AuthorizationPolicy shop/edge was changed by .*@.* at "
                                 "20..-..-..T..:..:..Z in revision 2, after revision 1 .*\n"));
  EXPECT_EQ(Ctl({"diff", "-f", "-"}, mine), 1);
  EXPECT_THAT(err_, HasSubstr("it will not be applied like this"));
  EXPECT_THAT(GetYaml(), HasSubstr("198.51.100.0/24"));
  // The value of now, in whatever version: nothing could be lost.
  EXPECT_EQ(Apply(Replaced(GetYaml(), "revision-2", "revision-1")), 0) << err_;
  EXPECT_EQ(Apply(Replaced(GetYaml(), "198.51.100.0/24", "10.0.0.0/8")), 0) << err_;
  // What was deleted does not come back by accident.
  ASSERT_EQ(Ctl({"delete", "policy", "edge", "-n", "shop"}), 0);
  EXPECT_EQ(Apply(mine), 1);
  EXPECT_THAT(err_, MatchesRegex("whencectl: .* was deleted by .* in revision 4: .*\n"));
  EXPECT_EQ(Apply(Replaced(mine, "edge", "other")), 1);
  EXPECT_THAT(err_, HasSubstr("never was in this configuration"));
  EXPECT_EQ(Apply(Replaced(mine, "revision-1", "revision-x")), 1);
  EXPECT_THAT(err_, HasSubstr("metadata.resourceVersion: "));
  // One of a cluster says nothing about ours.
  EXPECT_EQ(Apply(Replaced(mine, "revision-1", "\"184467\"")), 0) << err_;
  ASSERT_EQ(Ctl({"get", "all", "-o", "yaml", "--export"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("resourceVersion")));
}

TEST_F(HistoryTest, IfRevisionHoldsTheWholeConfiguration) {
  ASSERT_EQ(Apply(Policy("192.0.2.0/24"), {"--if-revision", "0"}), 0) << err_;
  EXPECT_EQ(Apply(Policy("10.0.0.0/8", "b"), {"--if-revision", "0"}), 1);
  EXPECT_THAT(err_,
              MatchesRegex("whencectl: the configuration is at revision 1, of .*, not 0: .*\n"));
  EXPECT_EQ(Ctl({"delete", "policy", "edge", "-n", "shop", "--if-revision", "5"}), 1);
  EXPECT_EQ(Ctl({"rollback", "1", "--if-revision", "2"}), 1);
  EXPECT_EQ(Ctl({"delete", "policy", "edge", "-n", "shop", "--if-revision", "1"}), 0) << err_;
}

// Each editor reads, adds its own line and applies, until it is heard. Every line must be there.
TEST_F(HistoryTest, ConcurrentEditorsLoseNothing) {
  ASSERT_EQ(Apply(Policy("192.0.2.0/24")), 0);
  constexpr int kEditors = 4, kEdits = 5;
  std::atomic<int> conflicts{0};
  std::latch all_have_read(kEditors);  // so that all but one of the first edits must conflict
  std::vector<std::thread> editors;
  for (int editor = 0; editor < kEditors; ++editor) {
    editors.emplace_back([&, editor] {
      auto stub = v1::ConfigService::NewStub(channel_);
      bool has_read = false;
      for (int edit = 0; edit < kEdits;) {
        v1::GetRequest get;
        get.set_kind("policies");
        v1::GetResponse got;
        grpc::ClientContext reading;
        ASSERT_TRUE(stub->Get(&reading, get, &got).ok());
        if (edit == 0 && !std::exchange(has_read, true)) all_have_read.arrive_and_wait();
        v1::Document document = got.documents(0).document();
        document.mutable_ip_policy()
            ->mutable_rules(0)
            ->mutable_from(0)
            ->mutable_source()
            ->add_remote_ip_blocks("10." + std::to_string(editor) + "." + std::to_string(edit) +
                                   ".0/24");
        v1::ApplyRequest apply;
        apply.add_files()->set_content(document::ToYaml(document));
        v1::ApplyResponse applied;
        grpc::ClientContext writing;
        grpc::Status status = stub->Apply(&writing, apply, &applied);
        if (status.ok()) {
          ++edit;
        } else {
          ASSERT_EQ(status.error_code(), grpc::StatusCode::ABORTED) << status.error_message();
          conflicts.fetch_add(1);
        }
      }
    });
  }
  for (std::thread& editor : editors) editor.join();
  const std::string yaml = GetYaml();
  for (int editor = 0; editor < kEditors; ++editor) {
    for (int edit = 0; edit < kEdits; ++edit) {
      EXPECT_THAT(yaml,
                  HasSubstr("10." + std::to_string(editor) + "." + std::to_string(edit) + ".0"));
    }
  }
  EXPECT_GE(conflicts.load(), kEditors - 1);
}

}  // namespace
}  // namespace whence::ctl
