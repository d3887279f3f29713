#include "controlplane/access_log/text.h"

#include <gtest/gtest.h>

#include <random>

namespace whence::access_log {
namespace {

using namespace std::string_literals;

TEST(EscapeTest, ShowsWhatWouldRunInATerminal) {
  const struct {
    std::string bytes;
    std::string want;
  } kRows[] = {
      {"/plain?a=b'; drop table segment_1;--", "/plain?a=b'; drop table segment_1;--"},
      {"\x1b[31mred", R"(\x1B[31mred)"},
      {"a\nb\tc\rd\x7f", R"(a\x0Ab\x09c\x0Dd\x7F)"},
      {"nul\0nul"s, R"(nul\x00nul)"},
      {"back\\slash \\x41", R"(back\\slash \\x41)"},
      {"\xc2\x9b"
       "31m",
       R"(\xC2\x9B31m)"},  // CSI as C1
      {"\xe2\x80\xae"
       "gpj.exe",
       R"(\xE2\x80\xAEgpj.exe)"},                   // right-to-left override
      {"\xe2\x81\xa6x", R"(\xE2\x81\xA6x)"},        // isolate
      {"\xf3\xa0\x81\x81", R"(\xF3\xA0\x81\x81)"},  // tag
      {"gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80",
       "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80"},
      {"\xff\xfe", R"(\xFF\xFE)"},
      {"\xc0\xaf", R"(\xC0\xAF)"},                  // "/" too long
      {"\xed\xa0\x80", R"(\xED\xA0\x80)"},          // surrogate
      {"\xf4\x90\x80\x80", R"(\xF4\x90\x80\x80)"},  // beyond U+10FFFF
      {"\xe4\xb8", R"(\xE4\xB8)"},                  // cut off
      {"\xe4\xb8"
       "a",
       R"(\xE4\xB8a)"},
      {"", ""},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Escape(row.bytes, 1000), row.want);
    EXPECT_EQ(Unescape(row.want), row.bytes);
  }
}

TEST(EscapeTest, CutsAndSaysHowMuch) {
  EXPECT_EQ(Escape("abcdef", 6), "abcdef");
  EXPECT_EQ(Escape("abcdef", 4), R"(abcd\+2)");
  EXPECT_EQ(Unescape(R"(abcd\+2)"), "abcd");
  EXPECT_EQ(Escape("\xe4\xb8\xad!", 2), R"(\xE4\xB8\+2)");
}

TEST(EscapeTest, AnyBytesComeBack) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (size_t i = random() % 40; i > 0; --i) {
      // Mostly the bytes that matter: escapes, leads and continuations.
      const char kInteresting[] = "\\x+0A\x1b\xc2\xe2\x80\xae\xf0\xed";
      bytes += random() % 2 ? static_cast<char>(random())
                            : kInteresting[random() % (sizeof(kInteresting) - 1)];
    }
    std::string text = Escape(bytes, 1000);
    EXPECT_EQ(Unescape(text), bytes);
    EXPECT_EQ(Escape(bytes, 1000), text);
    for (char c : text) EXPECT_GE(static_cast<uint8_t>(c), 0x20);
  }
}

TEST(UnescapeTest, TakesForeignTextAsItIs) {
  EXPECT_EQ(Unescape("\\"), "\\");
  EXPECT_EQ(Unescape("\\x"), "x");
  EXPECT_EQ(Unescape("\\xZZ"), "xZZ");
  EXPECT_EQ(Unescape("end\\x4"), "endx4");
}

}  // namespace
}  // namespace whence::access_log
