#include "common/net/dial_target.h"

#include <gtest/gtest.h>

namespace whence::net {
namespace {

TEST(DialTargetTest, TakesWhatCanBeDialledOnly) {
  for (const char* text :
       {"127.0.0.1:15010", "localhost:15010", "whence-control.whence-system.svc:15012", "a:1",
        "control.example.:65535", "[2001:db8::1]:15010", "unix:/run/whence.sock", "unix:./s",
        "unix:///run/whence.sock", "unix-abstract:whence", "ipv4:10.0.0.1:1,10.0.0.2:2",
        "ipv6:[::1]:1,[::2]:2", "dns:control:15010", "dns:///control:15010",
        "dns://10.0.0.10/control:15010"}) {
    EXPECT_TRUE(IsDialTarget(text)) << text;
  }
  for (const char* text : {"",
                           ":",
                           ":15010",
                           "127.0.0.1",
                           "control",
                           "127.0.0.1:",
                           "127.0.0.1:0",
                           "127.0.0.1:99999",
                           "127.0.0.1:+1",
                           "127.0.0.300:1",
                           "10.0.0:1",
                           "2001:db8::1:15010",
                           "[2001:db8::1]",
                           "[::1:1",
                           "http://control:15010",
                           "https://10.0.0.1:15012",
                           "control:15010/",
                           "control:15010/path",
                           "con trol:15010",
                           "control:15010 ",
                           "unix:",
                           "unix://",
                           "unix-abstract:",
                           "ipv4:",
                           "ipv4:10.0.0.1",
                           "ipv4:10.0.0.1:1,",
                           "ipv4:[::1]:1",
                           "ipv6:10.0.0.1:1",
                           "dns:control",
                           "dns:15010",
                           "dns://control:15010",
                           "xds:///control:1",
                           "a@b:1",
                           "a,b:1"}) {
    EXPECT_FALSE(IsDialTarget(text)) << text;
  }
}

}  // namespace
}  // namespace whence::net
