#include "controlplane/ctl/text.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>

namespace whence::ctl {
namespace {

TEST(TextTest, ShowsWhatATerminalWouldObeyOrHide) {
  struct Row {
    std::string_view input;
    std::string_view want;
  };
  using std::literals::operator""sv;
  const Row rows[] = {
      {"plain /path?q=1 é 中 🙂", "plain /path?q=1 é 中 🙂"},
      {"\x1b[2Jx", "\\x1b[2Jx"},
      {"a\nb\r\tc", "a\\nb\\r\\tc"},
      {"\0\x7f"sv, "\\x00\\x7f"},
      {"\xc2\x9b"
       "2J",
       "\\u009b2J"},  // C1 CSI as UTF-8
      {"\x9b"
       "2J",
       "\\x9b2J"},  // and as a bare byte
      {"a\xe2\x80\xae"
       "b",
       "a\\u202eb"},
      {"\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf", "\\u2066\\u200b\\ufeff"},
      {"\xf3\xa0\x81\x81", "\\U000e0041"},
      {"\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80",
       "\\xff\\xc0\\x80\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"},
      {"\xe4\xb8", "\\xe4\\xb8"},
      {"\\x1b", "\\\\x1b"},
  };
  for (const Row& row : rows) EXPECT_EQ(Escape(row.input), row.want);
}

TEST(TextTest, NoTwoTextsLookTheSame) {
  std::set<std::string> seen;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      std::string text{static_cast<char>(a), static_cast<char>(b)};
      std::string shown = Escape(text);
      EXPECT_TRUE(seen.insert(shown).second) << shown;
      for (char c : shown) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f);
    }
  }
}

TEST(TextTest, CountsCellsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("中文"), 4u);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1u);
  EXPECT_EQ(Shorten("中文字", 5), "中文…");
  EXPECT_EQ(Shorten("中文字", 6), "中文字");
  EXPECT_EQ(Shorten("abcdef", 4), "abc…");
}

TEST(TextTest, AlignsColumnsWithWideCells) {
  Table table({"NAME", "STATE"});
  table.Add({"中文", "ok"});
  table.Add({"a\nb", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME  STATE\n中文  ok\na\\nb  -\n");
}

TEST(TextTest, WritesJsonThatIsSafeToPrint) {
  EXPECT_EQ(JsonString("a\"\\\n\x1b\xe2\x80\xae\xff"),
            "\"a\\\"\\\\\\u000a\\u001b\\u202e\xef\xbf\xbd\"");
  EXPECT_TRUE(IsUtf8("é"));
  EXPECT_FALSE(IsUtf8("\xff"));
}

TEST(TextTest, WritesTimesAndSpans) {
  EXPECT_EQ(TimeText(1'700'000'000'000'001), "2023-11-14T22:13:20.000001Z");
  EXPECT_EQ(SpanText(412), "412us");
  EXPECT_EQ(SpanText(1'250), "1.2ms");
  EXPECT_EQ(SpanText(3'400'000), "3.4s");
  EXPECT_EQ(SpanText(125'000'000), "2m");
  EXPECT_EQ(SpanText(int64_t{50} * 3600 * 1'000'000), "2d");
}

}  // namespace
}  // namespace whence::ctl
