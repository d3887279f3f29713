#include "common/proxy_protocol/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace whence::proxy_protocol {
namespace {

// RFC 3720, appendix B.4, and the usual check value.
TEST(Crc32cTest, PublishedValues) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32cTest, PiecesAddUp) { EXPECT_EQ(Crc32c("6789", Crc32c("12345")), Crc32c("123456789")); }

}  // namespace
}  // namespace whence::proxy_protocol
