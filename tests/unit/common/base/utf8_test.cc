#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace whence {
namespace {

constexpr char kReplaced[] = "\xef\xbf\xbd";

TEST(Utf8Test, KnowsWhatIsACharacter) {
  for (const char* good : {"a", "\x7f", "\xc2\x80", "ü", "€", "\xed\x9f\xbf", "\xee\x80\x80", "😀",
                           "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(Utf8CharacterSize(good), std::string_view(good).size()) << good;
    EXPECT_EQ(ValidUtf8(good), good);
  }
  for (const char* bad :
       {"", "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3z", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(Utf8CharacterSize(bad), 0u) << bad;
  }
  EXPECT_EQ(Utf8CharacterSize(std::string_view("\0", 1)), 1u);
}

TEST(Utf8Test, TellsWhichCharacterItIs) {
  for (const char32_t c : U"a\u0080\u07ff\u0800\uffff\U00010000\U0010ffff") {
    std::string text;
    if (c < 0x80) {
      text = {static_cast<char>(c)};
    } else if (c < 0x800) {
      text = {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
              static_cast<char>(0x80 | (c & 0x3f))};
    } else {
      text = {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
              static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
    }
    const auto [code_point, size] = DecodeUtf8(text + "z");
    EXPECT_EQ(code_point, c);
    EXPECT_EQ(size, text.size()) << static_cast<uint32_t>(c);
  }
  EXPECT_EQ(DecodeUtf8("\xff").size, 0u);
}

TEST(Utf8Test, HiddenIsWhatATerminalObeysOrDoesNotShow) {
  for (const char32_t c : {U'\n', U'\x7f', U'\xad', U'\u061c', U'\u180e', U'\u200b', U'\u202e',
                           U'\u2066', U'\ufeff', U'\ufffb', U'\U000e0041'}) {
    EXPECT_TRUE(IsHidden(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U' ', U'~', U'\u00a0', U'\u2010', U'\u2070', U'\ufffc', U'\U0001f680'}) {
    EXPECT_FALSE(IsHidden(c)) << static_cast<uint32_t>(c);
  }
}

TEST(Utf8Test, ReplacesOnlyWhatIsNoCharacter) {
  EXPECT_EQ(ValidUtf8("a\xff€\xe2\x82"),
            std::string("a") + kReplaced + "€" + kReplaced + kReplaced);
  EXPECT_EQ(ValidUtf8Size("ab\xffz"), 2u);
}

TEST(Utf8Test, CutsBetweenCharacters) {
  const std::string text = "ü€😀z";  // 2 + 3 + 4 + 1 bytes
  const size_t want[] = {0, 0, 2, 2, 2, 5, 5, 5, 5, 9, 10, 10};
  for (size_t max = 0; max < std::size(want); ++max) {
    EXPECT_EQ(CutUtf8(text, max).size(), want[max]) << max;
  }
  EXPECT_EQ(CutUtf8("\x80\x80\x80\x80", 2).size(), 2u);
}

}  // namespace
}  // namespace whence
