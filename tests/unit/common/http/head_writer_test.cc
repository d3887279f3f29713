#include "common/http/head_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "common/http/request_head.h"

namespace whence::http {
namespace {

std::string Rewrite(std::string_view bytes) {
  HeadStorage storage;
  RequestHead head;
  const ParseResult result = ParseRequestHead(bytes, {}, storage, &head);
  EXPECT_TRUE(result.done()) << result.reason;
  std::array<char, 4096> buffer;
  HeadWriter writer(buffer);
  writer.RequestLine(head.method, head.target);
  writer.Fields(head.fields, head.hop_by_hop);
  writer.End();
  EXPECT_TRUE(writer.ok());
  return std::string(writer.written());
}

TEST(HeadWriterTest, NormalFieldsPassUnchanged) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nEmpty: \r\nC: d\r\n\r\n";
  EXPECT_EQ(Rewrite(bytes), bytes);
}

TEST(HeadWriterTest, OddBlanksAreNormalised) {
  EXPECT_EQ(Rewrite("GET / HTTP/1.1\r\nHost:a\r\nA: b \r\nC:\td\r\nD:  e\r\nE:\r\nF: g\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nD: e\r\nE: \r\nF: g\r\n\r\n");
}

TEST(HeadWriterTest, DroppedFieldsLeaveNoTrace) {
  EXPECT_EQ(Rewrite("GET / HTTP/1.1\r\nKeep-Alive: 1\r\nHost: a\r\nConnection: x\r\nX: 1\r\nY: "
                    "2\r\nx: 3\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nY: 2\r\n\r\n");
}

TEST(HeadWriterTest, FailsAndStaysFailedWhenFull) {
  for (size_t size = 0; size < 30; ++size) {
    std::string buffer(size, '#');
    HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
    writer.StatusLine(200, "OK");
    writer.Field("a", uint64_t{12345678});
    writer.Raw("x");
    EXPECT_FALSE(writer.ok()) << size;
  }
  std::string buffer(31, '#');
  HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.StatusLine(200, "OK");
  writer.Field("a", uint64_t{12345678});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(writer.written(), "HTTP/1.1 200 OK\r\na: 12345678\r\n");
}

TEST(HeadWriterTest, NothingIsWrittenAfterAGap) {
  std::string buffer(5, '#');
  HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.Raw("abc");
  writer.Raw("does not fit");
  writer.Raw("d");
  EXPECT_EQ(buffer, "abc##");
}

}  // namespace
}  // namespace whence::http
