#include "controlplane/security/identity.h"

#include <gtest/gtest.h>

#include "controlplane/security/method_table.h"

namespace whence::security {
namespace {

TEST(IdentityTest, ReadsBackEveryKind) {
  for (const Identity& identity : {
           Identity{Kind::kAgent, "whence.local", "shop", "web-1"},
           Identity{Kind::kViewer, "whence.local", "", "ana"},
           Identity{Kind::kEditor, "a.b-c.example", "", "ana.b"},
           Identity{Kind::kControlPlane, "whence.local", "", "main"},
       }) {
    EXPECT_EQ(ParseIdentity(ToUri(identity)), identity) << ToUri(identity);
  }
}

TEST(IdentityTest, IsNobodyForAnythingSpelledOtherwise) {
  for (const char* uri : {
           "", "spiffe://", "spiffe:///ns/shop/workload/web", "https://d/ns/shop/workload/web",
           "SPIFFE://d/ns/shop/workload/web", "spiffe://D/ns/shop/workload/web",
           "spiffe://d/ns/shop/workload/web/", "spiffe://d//ns/shop/workload/web",
           "spiffe://d/ns//workload/web", "spiffe://d/ns/shop/workload/", "spiffe://d/ns/shop",
           "spiffe://d/ns/shop/workload/web/x", "spiffe://d/ns/shop/workload/a%2Fb",
           "spiffe://d/ns/shop/workload/web?x", "spiffe://d/ns/shop/workload/web#x",
           "spiffe://d:1/ns/shop/workload/web", "spiffe://u@d/ns/shop/workload/web",
           "spiffe://d/ns/sh op/workload/web", "spiffe://d/NS/shop/workload/web",
           "spiffe://d/operator/ana", "spiffe://d/operator/ana/role/admin",
           "spiffe://d/operator/ana/role/Editor", "spiffe://d/operator//role/editor",
           "spiffe://d/control-plane", "spiffe://d/control-plane/a/b",
       }) {
    EXPECT_EQ(ParseIdentity(uri), std::nullopt) << uri;
  }
  EXPECT_EQ(ParseIdentity("spiffe://d/ns/shop/workload/" + std::string(3000, 'a')), std::nullopt);
  EXPECT_EQ(ParseIdentity(std::string("spiffe://d/ns/shop/workload/web\0x", 33)), std::nullopt);
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
    EXPECT_EQ(Belongs(Kind::kViewer, row.audience), row.viewer);
    EXPECT_EQ(Belongs(Kind::kEditor, row.audience), row.editor);
    EXPECT_EQ(Belongs(Kind::kControlPlane, row.audience), row.control);
  }
}

}  // namespace
}  // namespace whence::security
