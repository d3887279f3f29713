#include "dataplane/access_log/record.h"

#include <gtest/gtest.h>

#include <string>

#include "dataplane/access_log/packed_record.h"

namespace whence::access_log {
namespace {

TEST(RecordTest, KeepsTextsApart) {
  Record record;
  record.Set(Text::kMethod, "GET");
  record.Set(Text::kPath, "/index.html");
  record.Set(Text::kHost, "shop.example");
  EXPECT_EQ(record.Get(Text::kMethod), "GET");
  EXPECT_EQ(record.Get(Text::kPath), "/index.html");
  EXPECT_EQ(record.Get(Text::kHost), "shop.example");
  EXPECT_EQ(record.Get(Text::kPolicy), "");
}

TEST(RecordTest, KeepsAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes.push_back(static_cast<char>(i * 2 + 1));
  bytes[3] = '\0';
  Record record;
  record.Set(Text::kPath, bytes);
  EXPECT_EQ(record.Get(Text::kPath), bytes);
}

TEST(PackedRecordTest, BringsBackAllOfIt) {
  Record record;
  record.time_us = 7;
  record.Add(Flag::kLoop);
  record.Set(Text::kReason, "direct-peer");
  record.Set(Text::kPolicy, std::string(1'000, 'p'));
  const PackedRecord packed(record);
  Record back;
  back.Set(Text::kPath, "/of/another");
  packed.UnpackTo(&back);
  EXPECT_EQ(back.used_bytes(), record.used_bytes());
  EXPECT_EQ(back.time_us, 7);
  EXPECT_TRUE(back.Has(Flag::kLoop));
  EXPECT_EQ(back.Get(Text::kReason), "direct-peer");
  EXPECT_EQ(back.Get(Text::kPolicy), record.Get(Text::kPolicy));
  EXPECT_TRUE(back.IsTruncated(Text::kPolicy));
  EXPECT_EQ(back.Get(Text::kPath), "");
}

TEST(RecordTest, CutsAndMarksWhatIsTooLong) {
  Record record;
  record.Set(Text::kPath, std::string(10'000, 'a'));
  record.Set(Text::kHost, "h");
  EXPECT_EQ(record.Get(Text::kPath), std::string(256, 'a'));
  EXPECT_TRUE(record.IsTruncated(Text::kPath));
  EXPECT_FALSE(record.IsTruncated(Text::kHost));
  EXPECT_EQ(record.Get(Text::kHost), "h");
}

// Fault 59.
TEST(RecordTest, TenThousandForwardedEntriesAreCutAndMarked) {
  Record record;
  for (int i = 0; i < 10'000; ++i) record.AppendListItem(Text::kForwardedFor, "203.0.113.77");
  EXPECT_EQ(record.Get(Text::kForwardedFor).size(), 224u);
  EXPECT_EQ(record.Get(Text::kForwardedFor).substr(0, 28), "203.0.113.77, 203.0.113.77, ");
  EXPECT_TRUE(record.IsTruncated(Text::kForwardedFor));
  EXPECT_LE(record.used_bytes(), sizeof(Record));
}

TEST(RecordTest, HoldsEveryTextAtItsLimit) {
  Record record;
  constexpr size_t kOwnRoom = static_cast<size_t>(Text::kProxyTlvs);
  for (size_t i = 0; i < kTextCount; ++i) {
    record.Set(static_cast<Text>(i), std::string(kTextLimits[i], static_cast<char>('a' + i)));
  }
  for (size_t i = 0; i < kOwnRoom; ++i) {
    const Text field = static_cast<Text>(i);
    EXPECT_EQ(record.Get(field), std::string(kTextLimits[i], static_cast<char>('a' + i)));
    EXPECT_FALSE(record.IsTruncated(field));
  }
  // What comes last takes what is left, and says so.
  EXPECT_EQ(record.Get(Text::kProxyTlvs).size(), 72u);
  EXPECT_TRUE(record.IsTruncated(Text::kProxyTlvs));
  EXPECT_EQ(record.used_bytes(), sizeof(Record));
}

TEST(RecordTest, ReplacesAnEarlierValueAndItsMark) {
  Record record;
  record.Set(Text::kReason, std::string(100, 'x'));
  record.Set(Text::kMethod, "POST");
  record.Set(Text::kReason, "direct-peer");
  EXPECT_EQ(record.Get(Text::kReason), "direct-peer");
  EXPECT_FALSE(record.IsTruncated(Text::kReason));
  EXPECT_EQ(record.Get(Text::kMethod), "POST");
}

TEST(RecordTest, SettingTheLastTextAgainTakesNoRoom) {
  Record record;
  for (int i = 0; i < 1'000; ++i) record.Set(Text::kReason, "xff-hop-" + std::to_string(i));
  EXPECT_EQ(record.Get(Text::kReason), "xff-hop-999");
  EXPECT_FALSE(record.IsTruncated(Text::kReason));
}

TEST(RecordTest, NeverWritesBeyondItsArea) {
  Record record;
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < kTextCount; ++i) record.Set(static_cast<Text>(i), std::string(300, 'z'));
  }
  EXPECT_LE(record.used_bytes(), sizeof(Record));
  EXPECT_TRUE(record.IsTruncated(Text::kRequestId));
}

TEST(RecordTest, JoinsListItems) {
  Record record;
  record.AppendListItem(Text::kForwardedFor, "1.1.1.1");
  record.AppendListItem(Text::kForwardedFor, "2.2.2.2,3.3.3.3");
  EXPECT_EQ(record.Get(Text::kForwardedFor), "1.1.1.1, 2.2.2.2,3.3.3.3");
  for (int i = 0; i < 100; ++i) record.AppendListItem(Text::kForwardedFor, "10.0.0.1");
  EXPECT_TRUE(record.IsTruncated(Text::kForwardedFor));
  EXPECT_EQ(record.Get(Text::kForwardedFor).size(), 224u);
}

TEST(RecordTest, FlagsAreASet) {
  Record record;
  record.Add(Flag::kDrained);
  record.Add(Flag::kUpstreamReset);
  EXPECT_TRUE(record.Has(Flag::kDrained));
  EXPECT_TRUE(record.Has(Flag::kUpstreamReset));
  EXPECT_FALSE(record.Has(Flag::kNoRoute));
}

}  // namespace
}  // namespace whence::access_log
