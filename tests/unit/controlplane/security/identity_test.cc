#include "controlplane/security/identity.h"

#include <gtest/gtest.h>

#include "controlplane/security/method_table.h"

namespace whence::security {
namespace {

TEST(IdentityTest, ReadsBackEveryKind) {
  for (const Identity& identity : {
           Identity{Kind::kAgent, "whence.local", "shop", "web-1"},
           Identity{Kind::kWorkload, "whence.local", "shop", "web"},
           Identity{Kind::kAgent, "whence.local", "edge", "ingress", trust::Role::kGateway},
           Identity{Kind::kWorkload, "whence.local", "edge", "ingress", trust::Role::kGateway},
           Identity{Kind::kAgent, "whence.local", "edge", "n1", trust::Role::kNode},
           Identity{Kind::kWorkload, "whence.local", "edge", "nodes", trust::Role::kNode},
           Identity{Kind::kViewer, "whence.local", "", "ana"},
           Identity{Kind::kEditor, "a.b-c.example", "", "ana.b"},
           Identity{Kind::kControlPlane, "whence.local", "", "main"},
       }) {
    EXPECT_EQ(ParseIdentity(ToUri(identity)), identity) << ToUri(identity);
  }
}

TEST(IdentityTest, IsNobodyForAnythingSpelledOtherwise) {
  for (const char* uri : {
           "",
           "spiffe://",
           "spiffe:///ns/shop/workload/web",
           "https://d/ns/shop/workload/web",
           "SPIFFE://d/ns/shop/workload/web",
           "spiffe://D/ns/shop/workload/web",
           "spiffe://d/ns/shop/workload/web/",
           "spiffe://d//ns/shop/workload/web",
           "spiffe://d/ns//workload/web",
           "spiffe://d/ns/shop/workload/",
           "spiffe://d/ns/shop",
           "spiffe://d/ns/shop/workload/web/x",
           "spiffe://d/ns/shop/workload/a%2Fb",
           "spiffe://d/ns/shop/workload/web?x",
           "spiffe://d/ns/shop/workload/web#x",
           "spiffe://d:1/ns/shop/workload/web",
           "spiffe://u@d/ns/shop/workload/web",
           "spiffe://d/ns/sh op/workload/web",
           "spiffe://d/NS/shop/workload/web",
           "spiffe://d/ns/shop/workloads/",
           "spiffe://d/ns/shop/workloadS/web",
           "spiffe://d/ns/shop/gateway/",
           "spiffe://d/ns/shop/Gateway/web",
           "spiffe://d/ns/shop/sidecar/web",
           "spiffe://d/ns/shop/workloads/web/x",
           "spiffe://d/operator/ana",
           "spiffe://d/operator/ana/role/admin",
           "spiffe://d/operator/ana/role/Editor",
           "spiffe://d/operator//role/editor",
           "spiffe://d/control-plane",
           "spiffe://d/control-plane/a/b",
       }) {
    EXPECT_EQ(ParseIdentity(uri), std::nullopt) << uri;
  }
  EXPECT_EQ(ParseIdentity("spiffe://d/ns/shop/workload/" + std::string(3000, 'a')), std::nullopt);
  EXPECT_EQ(ParseIdentity(std::string("spiffe://d/ns/shop/workload/web\0x", 33)), std::nullopt);
}

TEST(IdentityTest, OfOneAgentCoversNobodyElse) {
  const Identity one{Kind::kAgent, "whence.local", "shop", "web"};
  EXPECT_TRUE(one.Covers("shop/web"));
  for (const char* other :
       {"shop/web-x7k2p", "shop/web-0", "shop/we", "other/web", "web", "shop/web/", ""}) {
    EXPECT_FALSE(one.Covers(other)) << other;
  }
}

TEST(IdentityTest, OfAWorkloadCoversThePodsThatKubernetesMakesOfIt) {
  const Identity web{Kind::kWorkload, "whence.local", "shop", "web"};
  for (const char* pod : {
           "shop/web", "shop/web-7d4b9c8f6-x7k2p", "shop/web-5d5fd59b75-bcdfg",
           "shop/web-6-22222",                                                // Deployment
           "shop/web-x7k2p",                                                  // DaemonSet, Job
           "shop/web-29402100-x7k2p",                                         // CronJob
           "shop/web-0", "shop/web-7", "shop/web-10", "shop/web-4294967295",  // StatefulSet
       }) {
    EXPECT_TRUE(web.Covers(pod)) << pod;
  }
  for (const char* stranger : {
           // Other workloads, and their pods.
           "shop/web-admin",
           "shop/web-admin-0",
           "shop/web-admin-7d4b9c8f6-x7k2p",
           "shop/web-admin-x7k2p",
           "shop/web2",
           "shop/web2-0",
           "shop/website-0",
           "shop/we",
           "shop/webx7k2p",
           "shop/web-api-0",
           "shop/web-v2-0",
           "shop/web-2-0",
           "shop/web-0-1",
           "shop/web-cache-7d4b9c8f6-x7k2p",
           // Other namespaces.
           "other/web-0",
           "shop2/web-0",
           "web-0",
           "/web-0",
           "shop//web-0",
           // Letters that no pod's ending has; lengths that it has not.
           "shop/web-x7k2a",
           "shop/web-x7k20",
           "shop/web-X7K2P",
           "shop/web-x7k2",
           "shop/web-x7k2pp",
           "shop/web-7d4b9c8f6-x7k2",
           "shop/web-7d4b9c8f6-x7k2pp",
           "shop/web-7d4b9c8f6a-x7k2p",
           "shop/web-bcdfghjklmn-x7k2p",
           "shop/web-7d4b9c8f6-",
           "shop/web--x7k2p",
           "shop/web-",
           "shop/web-7d4b9c8f6-x7k2p-0",
           "shop/web-00",
           "shop/web-01",
           "shop/web-12345678901",
           "shop/web-2940210-x7k2p",
           "shop/web-294021000-x7k2p",
           "shop/web.x7k2p",
           "shop/web-x7k2p/",
           "",
       }) {
    EXPECT_FALSE(web.Covers(stranger)) << stranger;
  }
  EXPECT_FALSE(web.Covers(std::string("shop/web-0\0", 11)));
}

TEST(IdentityTest, OfNoAgentCoversNone) {
  for (Kind kind : {Kind::kViewer, Kind::kEditor, Kind::kControlPlane}) {
    EXPECT_FALSE((Identity{kind, "whence.local", "shop", "web"}).Covers("shop/web"));
  }
}

TEST(MethodTableTest, IsClosedForWhatItDoesNotName) {
  EXPECT_EQ(AudienceOf(""), std::nullopt);
  EXPECT_EQ(AudienceOf("/whence.v1.ConfigService/apply"), std::nullopt);
  EXPECT_EQ(AudienceOf("/whence.v1.ConfigService/Apply/"), std::nullopt);
  EXPECT_EQ(AudienceOf("/whence.v1.ConfigService/Apply"), Audience::kEditors);
}

TEST(MethodTableTest, LetsOnlyThoseThroughWhomARowIsFor) {
  struct Row {
    Audience audience;
    bool agent, viewer, editor, control;
  };
  for (const Row& row : {Row{Audience::kAgents, true, false, false, false},
                         Row{Audience::kViewers, false, true, true, false},
                         Row{Audience::kEditors, false, false, true, false},
                         Row{Audience::kEverybody, true, true, true, true}}) {
    EXPECT_EQ(Belongs(Kind::kAgent, row.audience), row.agent);
    EXPECT_EQ(Belongs(Kind::kWorkload, row.audience), row.agent);
    EXPECT_EQ(Belongs(Kind::kViewer, row.audience), row.viewer);
    EXPECT_EQ(Belongs(Kind::kEditor, row.audience), row.editor);
    EXPECT_EQ(Belongs(Kind::kControlPlane, row.audience), row.control);
  }
}

}  // namespace
}  // namespace whence::security
