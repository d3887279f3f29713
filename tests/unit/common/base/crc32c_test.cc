#include "common/base/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace whence {
namespace {

// RFC 3720, appendix B.4, and the usual check value.
TEST(Crc32cTest, PublishedValues) {
  for (const auto sum : {Crc32c, Crc32cByTable}) {
    EXPECT_EQ(sum("", 0), 0u);
    EXPECT_EQ(sum("123456789", 0), 0xe3069283u);
    EXPECT_EQ(sum(std::string(32, '\0'), 0), 0x8a9136aau);
    EXPECT_EQ(sum(std::string(32, '\xff'), 0), 0x62a8ab43u);
  }
}

TEST(Crc32cTest, PiecesAddUp) {
  const std::string text = "123456789, and so on for more than one step";
  for (size_t at = 0; at <= text.size(); ++at) {
    for (const auto sum : {Crc32c, Crc32cByTable}) {
      EXPECT_EQ(sum(text.substr(at), sum(text.substr(0, at), 0)), Crc32c(text)) << at;
    }
  }
}

TEST(Crc32cTest, TheInstructionAndTheTableAgree) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(i * i * 31 + i / 7);
  for (size_t begin = 0; begin < 17; ++begin) {
    for (size_t size = 0; begin + size <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(begin, size);
      ASSERT_EQ(Crc32c(part), Crc32cByTable(part)) << begin << " " << size;
    }
  }
}

}  // namespace
}  // namespace whence
