#include "dataplane/static_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace whence {
namespace {

using testing::HasSubstr;

class StaticConfigTest : public testing::Test {
 protected:
  StaticConfigTest() {
    std::string pattern = testing::TempDir() + "/static.XXXXXX";
    directory_ = mkdtemp(pattern.data());
    self_.namespace_ = "shop";
    self_.name = "gw-1";
    self_.labels = {{"app", "gw"}};
    self_.role = trust::Role::kGateway;
  }
  ~StaticConfigTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ + "/" + name) << content;
  }
  static std::string Policy(const std::string& name, const std::string& block) {
    return "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: " + name +
           ", namespace: shop}\nspec:\n  action: DENY\n  rules: [{from: [{source: {ipBlocks: [\"" +
           block + "\"]}}]}]\n";
  }

  std::string directory_;
  bundle::Workload self_;
};

TEST_F(StaticConfigTest, BuildsWhatAControlPlaneWouldSend) {
  Write("b.yaml", Policy("one", "10.0.0.0/8"));
  Write("a.yml", Policy("two", "11.0.0.0/8") + "---\n" + Policy("three", "12.0.0.0/8"));
  Write(
      "gateway.json",
      R"({"apiVersion":"networking.istio.io/v1","kind":"Gateway","metadata":{"name":"gw","namespace":"shop"},
      "spec":{"selector":{"app":"gw"},"servers":[{"port":{"number":80,"name":"http","protocol":"HTTP"},"hosts":["*"]}]}})");
  Write("notes.txt", "not a document");
  const LoadedDocuments loaded = LoadDocuments({directory_}, false);
  EXPECT_THAT(loaded.faults, testing::IsEmpty());
  EXPECT_EQ(loaded.documents.size(), 4u);
  const StaticConfig config = BuildStatic(loaded, self_, {});
  ASSERT_NE(config.snapshot, nullptr) << testing::PrintToString(config.faults);
  EXPECT_EQ(config.bundle.policies_size(), 3);
  ASSERT_EQ(config.snapshot->listeners.size(), 1u);
  EXPECT_EQ(config.snapshot->listeners[0].port, 80);
  EXPECT_FALSE(config.snapshot->version.empty());
}

TEST_F(StaticConfigTest, CollectsEveryFaultOfEveryFile) {
  Write("a.yaml", Policy("one", "10.0.0.0/33"));
  Write("b.yaml", Policy("two", "banana"));
  const LoadedDocuments loaded = LoadDocuments({directory_}, false);
  ASSERT_EQ(loaded.faults.size(), 2u);
  EXPECT_THAT(loaded.faults[0], HasSubstr("a.yaml:"));
  EXPECT_THAT(loaded.faults[0], HasSubstr("10.0.0.0/33"));
  EXPECT_THAT(loaded.faults[1], HasSubstr("b.yaml:"));
  EXPECT_EQ(BuildStatic(loaded, self_, {}).snapshot, nullptr);
}

TEST_F(StaticConfigTest, SaysWhenThereIsNothingToRead) {
  EXPECT_THAT(LoadDocuments({directory_}, false).faults,
              testing::ElementsAre(HasSubstr("holds no *.yaml")));
  EXPECT_THAT(LoadDocuments({directory_ + "/none.yaml"}, false).faults,
              testing::ElementsAre(HasSubstr("none.yaml")));
}

TEST_F(StaticConfigTest, ReadsTheFileOfAnIpSetBesideItsDocument) {
  Write("set.yaml",
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: cdn, namespace: shop}\nspec: "
        "{file: cdn.txt}\n");
  Write("cdn.txt", "10.0.0.0/8\n# comment\n11.0.0.0/8\n");
  Write("policy.yaml",
        "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  "
        "action: DENY\n"
        "  rules: [{from: [{source: {ipSets: [cdn]}}]}]\n");
  const LoadedDocuments loaded = LoadDocuments({directory_}, false);
  EXPECT_THAT(loaded.faults, testing::IsEmpty());
  const StaticConfig config = BuildStatic(loaded, self_, {});
  ASSERT_NE(config.snapshot, nullptr) << testing::PrintToString(config.faults);
  ASSERT_EQ(config.bundle.ip_sets_size(), 1);
}

TEST_F(StaticConfigTest, TakesDeclaredWorkloadsAsEndpoints) {
  Write("all.yaml", R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop}
spec: {hosts: ["*"], gateways: [gw], http: [{route: [{destination: {host: echo.shop.svc.cluster.local, port: {number: 80}}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec: {selector: {app: echo}, ports: [{port: 80, targetPort: 8080}]}
)");
  bundle::Workload echo;
  echo.namespace_ = "shop";
  echo.name = "echo-1";
  echo.labels = {{"app", "echo"}};
  echo.addresses = {*net::IpAddress::Parse("10.1.1.2")};
  const StaticConfig config = BuildStatic(LoadDocuments({directory_}, false), self_, {echo});
  ASSERT_NE(config.snapshot, nullptr) << testing::PrintToString(config.faults);
  ASSERT_EQ(config.snapshot->clusters.size(), 1u);
  ASSERT_EQ(config.snapshot->clusters[0].endpoints.size(), 1u);
  EXPECT_EQ(config.snapshot->clusters[0].endpoints[0].address.ToString(), "10.1.1.2:8080");
}

}  // namespace
}  // namespace whence
