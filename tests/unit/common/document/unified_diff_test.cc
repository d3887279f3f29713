#include "common/document/unified_diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "common/document/resource_version.h"

namespace whence::document {
namespace {

std::string Lines(std::string_view letters) {
  std::string text;
  for (const char letter : letters) text += std::string(1, letter) + "\n";
  return text;
}

struct Row {
  const char* name;
  const char* before;
  const char* after;
  const char* want;  // without the two lines of names
};

TEST(UnifiedDiffTest, IsWhatDiffPrints) {
  const Row rows[] = {
      {"created", "", "ab", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
      {"deleted", "ab", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"},
      {"one line", "a", "b", "@@ -1 +1 @@\n-a\n+b\n"},
      {"in the middle", "abcdefghi", "abcdXfghi",
       "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+X\n f\n g\n h\n"},
      {"contexts that meet are one hunk", "abcdefgh", "XbcdefgY",
       "@@ -1,8 +1,8 @@\n-a\n+X\n b\n c\n d\n e\n f\n g\n-h\n+Y\n"},
      {"far apart are two", "abcdefghijkl", "XbcdefghijkY",
       "@@ -1,4 +1,4 @@\n-a\n+X\n b\n c\n d\n@@ -9,4 +9,4 @@\n i\n j\n k\n-l\n+Y\n"},
      {"repeated lines", "aaa", "aaaa", "@@ -1,3 +1,4 @@\n a\n a\n a\n+a\n"},
      {"moved", "abc", "bca", "@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(UnifiedDiff("old", Lines(row.before), "new", Lines(row.after)),
              std::string("--- old\n+++ new\n") + row.want)
        << row.name;
  }
  EXPECT_EQ(UnifiedDiff("old", "a\n", "new", "a\n"), "");
}

// What patch(1) would make of it.
std::string Patch(const std::string& before, const std::string& diff) {
  std::vector<std::string> lines;
  std::istringstream in(before), patch(diff);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::string out, line;
  size_t at = 0;
  std::getline(patch, line), std::getline(patch, line);
  while (std::getline(patch, line)) {
    if (line[0] == '@') {
      size_t start = std::stoul(line.substr(4));
      const bool empty = line.substr(4, line.find(' ', 4) - 4).find(",0") != std::string::npos;
      if (!empty) --start;
      while (at < start) out += lines[at++] + "\n";
    } else if (line[0] == '+') {
      out += line.substr(1) + "\n";
    } else {
      EXPECT_EQ(lines.at(at), line.substr(1));
      if (line[0] == ' ') out += lines[at] + "\n";
      ++at;
    }
  }
  while (at < lines.size()) out += lines[at++] + "\n";
  return out;
}

TEST(UnifiedDiffTest, PatchMakesTheNewTextOfTheOld) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string before, after;
    const uint32_t alphabet = 2 + random() % 20;
    for (uint32_t i = random() % 40; i > 0; --i)
      before += static_cast<char>('a' + random() % alphabet);
    after = before;
    for (uint32_t i = random() % 8; i > 0; --i) {
      const size_t at = random() % (after.size() + 1);
      if (random() % 2 == 0) {
        after.insert(at, 1, static_cast<char>('a' + random() % alphabet));
      } else if (at < after.size()) {
        after.erase(at, 1);
      }
    }
    if (before == after) continue;
    EXPECT_EQ(Patch(Lines(before), UnifiedDiff("o", Lines(before), "n", Lines(after))),
              Lines(after))
        << before << " -> " << after;
  }
}

TEST(UnifiedDiffTest, SaysOnlyWhatChangedInALargeSet) {
  std::string before, after;
  for (int i = 0; i < 200'000; ++i) {
    const std::string line = "  - 10." + std::to_string(i) + "\n";
    before += line;
    if (i % 50'000 != 25'000) after += line;
    if (i % 100'000 == 70'000) after += "  - new" + std::to_string(i) + "\n";
  }
  const std::string diff = UnifiedDiff("o", before, "n", after);
  EXPECT_EQ(std::count(diff.begin(), diff.end(), '@'), 4 * 6);  // four removed, two added
  EXPECT_EQ(Patch(before, diff), after);
}

TEST(ResourceVersionTest, HasOneSpelling) {
  EXPECT_EQ(ParseResourceVersion(ResourceVersionText(12)), 12u);
  for (const char* other : {"", "12", "revision-", "revision-0", "revision-012", "revision-+7",
                            "revision- 7", "revision-99999999999999999999", "revision-1a"}) {
    EXPECT_EQ(ParseResourceVersion(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace whence::document
