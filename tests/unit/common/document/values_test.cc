#include "common/document/values.h"

#include <gtest/gtest.h>

#include "common/document/edit_distance.h"
#include "common/document/location.h"

namespace whence::document {
namespace {

TEST(ValuesTest, TakesGoodValuesOnly) {
  struct {
    Complaint (*check)(std::string_view);
    std::vector<std::string> bad, good;
  } rows[] = {
      {CheckLabelName,
       {"", "-a", "a-", "A", "a.b", "a_b", std::string(64, 'a')},
       {"a", "a-b", "0"}},
      {CheckObjectName, {"", ".", "a.", "a..b", "A", std::string(254, 'a')}, {"a", "a.b-c.0"}},
      {CheckLabelKey, {"", "/a", "a/", "A/b", "a/b/c", "-a", "a b"}, {"a", "A_b.c", "x.y/z"}},
      {CheckLabelValue, {"a b", "-a", "a.", std::string(64, 'a')}, {"", "A_b.c-d", "1"}},
      {CheckPortText, {"", "0", "65536", "-1", "+1", " 1", "1 ", "http", "1.0"}, {"1", "65535"}},
      {CheckHostPattern,
       {"", "*.", "a*", "*a", "*.*.a", "a_b", "a:80", "a."},
       {"*", "a", "*.a.b", "A.Example.com"}},
      {CheckHeaderName, {"", "a b", "a:", "ü"}, {"x-a", "X_Forwarded", "cf-connecting-ip"}},
      {CheckReference, {"", "/", "a/", "/a", "a/b/c", "A/b", "a.b/c"}, {"a", "a/b", "a/b.c"}},
      {CheckTimestamp,
       {"", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", "infinite-future",
        "2030-01-01T00:00:00Zx"},
       {"2030-01-01T00:00:00Z", "2030-01-01T00:00:00.123+01:00"}},
  };
  for (const auto& row : rows) {
    for (const std::string& text : row.bad) EXPECT_TRUE(row.check(text)) << "'" << text << "'";
    for (const std::string& text : row.good) EXPECT_FALSE(row.check(text)) << "'" << text << "'";
  }
}

TEST(ValuesTest, ReadsDurationsAndSizes) {
  for (const char* bad : {"", "d", "7", "7x", "-1d", "1.5h", "7 d", "99999999999999999999d"}) {
    EXPECT_FALSE(ParseDurationSeconds(bad)) << bad;
  }
  EXPECT_EQ(ParseDurationSeconds("7d"), 604800u);
  EXPECT_EQ(ParseDurationSeconds("1d12h30m5s"), 131405u);
  for (const char* bad : {"", "GiB", "10gib", "10 GiB", "1.5GiB", "-1", "99999999999TiB"}) {
    EXPECT_FALSE(ParseSizeBytes(bad)) << bad;
  }
  EXPECT_EQ(ParseSizeBytes("10GiB"), 10737418240u);
  EXPECT_EQ(ParseSizeBytes("500MB"), 500000000u);
  EXPECT_EQ(ParseSizeBytes("42"), 42u);
}

TEST(EditDistanceTest, FindsWhatWasMeant) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("acton", "action"), 1u);
  EXPECT_EQ(EditDistance("nmae", "name"), 1u);  // a swap is one slip
  EXPECT_EQ(EditDistance("ABC", "abc"), 0u);
  EXPECT_EQ(Nearest("ipBlock", {"ipSets", "ipBlocks"}), "ipBlocks");
  EXPECT_EQ(Nearest("colour", {"ipSets", "ipBlocks"}), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'a'), {"a"}), "");
}

TEST(LocationsTest, FindsTheNearestEnclosingPlace) {
  Locations locations;
  locations.Set("", {1, 1});
  locations.Set("spec.rules", {5, 3});
  locations.AddItem("spec.rules", {6, 5});
  locations.Set("spec.rules[0].from", {7, 7});
  EXPECT_EQ(locations.Find("spec.rules[0].from[3].source").line, 7u);
  EXPECT_EQ(locations.Find("spec.rules[0].to").line, 6u);
  EXPECT_EQ(locations.Find("spec.rules[1].to").line, 5u);
  EXPECT_EQ(locations.Find("spec.action").line, 1u);
  EXPECT_EQ(Locations().Find("spec").line, 0u);
}

}  // namespace
}  // namespace whence::document
