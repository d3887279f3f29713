#include "controlplane/etcd/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/etcd/client.h"

namespace whence::etcd {
namespace {

TEST(EndpointsTest, ReadsWhatPeopleWrite) {
  auto endpoints = ParseEndpoints("http://127.0.0.1:2379, https://etcd-1.example:2379/,[::1]:2379");
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  ASSERT_EQ(endpoints->size(), 3u);
  EXPECT_EQ((*endpoints)[0].target, "127.0.0.1:2379");
  EXPECT_TRUE((*endpoints)[0].is_local);
  EXPECT_FALSE((*endpoints)[0].is_tls);
  EXPECT_EQ((*endpoints)[1].ToString(), "https://etcd-1.example:2379");
  EXPECT_FALSE((*endpoints)[1].is_local);
  EXPECT_EQ((*endpoints)[2].target, "[::1]:2379");
  EXPECT_TRUE((*endpoints)[2].is_local);
}

TEST(EndpointsTest, RefusesWhatNamesNoPlace) {
  for (const char* text : {"", " , ", "http://", "http://h", "http://h:0", "http://h:65536",
                           "http://h:x", "ftp://h:1", "http://user@h:1", "http://h:1/path",
                           "http://::1:2379", "http://[1.2.3.4]:1", "unix:/x:1"}) {
    EXPECT_FALSE(ParseEndpoints(text).ok()) << text;
  }
}

TEST(EndpointsTest, APrefixEndsWithASlash) {
  EXPECT_EQ(*ParsePrefix("/whence/"), "/whence/");
  EXPECT_EQ(*ParsePrefix("a"), "/a/");
  EXPECT_FALSE(ParsePrefix("").ok());
  EXPECT_FALSE(ParsePrefix("/a b/").ok());
}

TEST(EndpointsTest, ARangeEndsBehindItsPrefix) {
  EXPECT_EQ(EndOf("/a/"), "/a0");
  EXPECT_EQ(EndOf("a\xff\xff"), "b");
  EXPECT_EQ(EndOf("\xff"), std::string(1, '\0'));
}

}  // namespace
}  // namespace whence::etcd
