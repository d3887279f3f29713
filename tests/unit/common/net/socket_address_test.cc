#include "common/net/socket_address.h"

#include <gtest/gtest.h>

namespace whence::net {
namespace {

TEST(SocketAddressTest, RoundTrips) {
  for (const std::string_view text : {"1.2.3.4:80", "[2001:db8::1]:65535", "0.0.0.0:0"}) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(SocketAddressTest, RefusesWhatIsAmbiguousOrWrong) {
  for (const std::string_view text :
       {"", ":", ":80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:8x",
        "::1:80", "[1.2.3.4]:80", "[::1]", "[::1]80", "localhost:80"}) {
    EXPECT_FALSE(SocketAddress::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace whence::net
