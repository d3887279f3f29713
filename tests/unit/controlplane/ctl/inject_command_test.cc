#include "controlplane/ctl/inject_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/options.h"
#include "tests/unit/controlplane/ctl/typed.h"

namespace whence::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

class InjectCommandTest : public testing::Test {
 protected:
  int Ctl(std::vector<std::string> arguments, const std::string& input) {
    return Type(std::move(arguments), input, &out_, &err_);
  }

  std::string out_, err_;
};

constexpr char kPod[] =
    "kind: Pod\nmetadata: {name: a, namespace: shop}\nspec:\n  containers:\n  - name: a\n";

TEST_F(InjectCommandTest, InjectsAndGivesBackWithoutAControlPlane) {
  ASSERT_EQ(
      Ctl({"inject", "-f", "-", "--image", "registry/agent:2", "--classic", "--certs-secret", ""},
          kPod),
      0)
      << err_;
  EXPECT_THAT(out_, HasSubstr("registry/agent:2"));
  EXPECT_THAT(out_, Not(HasSubstr("restartPolicy: Always")));
  EXPECT_THAT(out_, Not(HasSubstr("WHENCE_CA")));
  EXPECT_EQ(err_, "");
  ASSERT_EQ(Ctl({"uninject", "-f", "-"}, std::string(out_)), 0) << err_;
  EXPECT_EQ(out_, kPod);
}

TEST_F(InjectCommandTest, PrintsNothingIfAnythingIsWrong) {
  EXPECT_EQ(Ctl({"inject", "-f", "-"},
                std::string(kPod) + "---\nkind: Pod\nmetadata: {name: b}\nspec: {}\n"),
            1);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("-: Pod b: spec.containers"));
  EXPECT_EQ(Ctl({"inject", "-f", "/no/such/file.yaml"}, ""), 1);
  EXPECT_THAT(err_, HasSubstr("/no/such/file.yaml: No such file"));
  EXPECT_EQ(Ctl({"inject", "-f", "-", "--mode", "ebpf"}, kPod), 2);
}

TEST_F(InjectCommandTest, SaysWhatItLeftAloneAndWhatIsToBeApplied) {
  EXPECT_EQ(
      Ctl({"inject", "-f", "-"},
          "kind: Pod\nmetadata: {name: a}\nspec: {hostNetwork: true, containers: [{name: a}]}\n"
          "---\nkind: Pod\nmetadata:\n  name: b\n  labels: {app: b}\n  annotations:\n"
          "    proxy.istio.io/config: 'gatewayTopology: {numTrustedProxies: 1}'\n"
          "spec: {containers: [{name: b}]}\n"),
      0);
  EXPECT_THAT(err_, HasSubstr("note: -: Pod a: left alone"));
  EXPECT_THAT(err_, HasSubstr("kind: TrustTopology"));
  EXPECT_THAT(err_, HasSubstr("numTrustedProxies: 1"));
}

}  // namespace
}  // namespace whence::ctl
