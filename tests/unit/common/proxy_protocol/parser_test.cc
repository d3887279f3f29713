#include "common/proxy_protocol/parser.h"

#include <string>
#include <vector>

#include "common/proxy_protocol/formatter.h"
#include "gtest/gtest.h"

namespace whence::proxy_protocol {
namespace {

constexpr auto kDone = ParseStatus::kDone;
constexpr auto kNeedMore = ParseStatus::kNeedMore;
constexpr auto kReject = ParseStatus::kReject;
constexpr auto kAbsent = ParseStatus::kAbsent;

std::string V2(std::initializer_list<int> bytes) {
  std::string header(kSignatureV2);
  for (const int byte : bytes) header += static_cast<char>(byte);
  return header;
}

// The answer of the whole must be that of every split: kNeedMore up to some byte, then always this.
ParseResult ParseInSteps(std::string_view bytes, const ParseOptions& options, Header* out) {
  const ParseResult whole = Parse(bytes, options, out);
  bool decided = false;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    Header header;
    const ParseResult result = Parse(bytes.substr(0, size), options, &header);
    if (result.status == kNeedMore) {
      EXPECT_FALSE(decided) << "undecided again at " << size;
      continue;
    }
    decided = true;
    EXPECT_EQ(result.status, whole.status) << "with " << size << " bytes";
    EXPECT_EQ(header.bytes, out->bytes) << "with " << size << " bytes";
  }
  return whole;
}

struct Row {
  const char* name;
  std::string bytes;
  ParseStatus want;
  ParseOptions options = {};
};

TEST(ParserTest, RefusesWhatIsNotExactlyAHeader) {
  const std::string v4 = V2({0x21, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187});
  const std::vector<Row> rows = {
      // Attacks on where the header ends.
      {"bare LF in an unknown line", "PROXY UNKNOWN\nGET / HTTP/1.1\r\n", kReject},
      {"bare LF after UNKNOWN's blank", "PROXY UNKNOWN x\nGET /\r\n", kReject},
      {"NUL in an unknown line", std::string("PROXY UNKNOWN \0\r\n", 17), kReject},
      {"bare CR in an unknown line", "PROXY UNKNOWN \rGET\r\n", kReject},
      {"UNKNOWNX", "PROXY UNKNOWNX\r\n", kReject},
      {"trailing blank", "PROXY TCP4 1.2.3.4 5.6.7.8 80 443 \r\n", kReject},
      {"NUL in an address", std::string("PROXY TCP4 1.2.3.4\0 5.6.7.8 80 443\r\n", 36), kReject},
      {"no end at 108", "PROXY TCP4 " + std::string(97, '1'), kReject},
      {"no end at 107", "PROXY TCP4 " + std::string(96, '1'), kNeedMore},
      {"scope id", "PROXY TCP6 fe80::1%eth0 ::1 80 443\r\n", kReject},
      {"octal octet", "PROXY TCP4 01.2.3.4 5.6.7.8 80 443\r\n", kReject},
      {"port 65536", "PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\r\n", kReject},
      {"port -1", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 443\r\n", kReject},
      {"mapped text under TCP4", "PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 80 443\r\n", kReject},
      {"mapped multicast", "PROXY TCP6 ::ffff:224.0.0.1 ::1 80 443\r\n", kReject},
      // v2.
      {"version 1 in a binary header", V2({0x11, 0x11, 0, 12}), kReject},
      {"family UNSPEC with a transport", V2({0x21, 0x01, 0, 0}), kReject},
      {"one byte short for IPv4", V2({0x21, 0x11, 0, 11}), kReject},
      {"checksum of five bytes", V2({0x21, 0x11, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187,  //
                                     3,    0,    5, 0,  0, 0, 0, 0}),
       kReject},
      {"mapped broadcast",
       V2({0x21, 0x21, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 255, 255, 255, 255,
           0,    0,    0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    1,    0,   80,  1,   187}),
       kReject},
      {"longer than we take", V2({0x21, 0x11, 0x10, 0}), kReject, {.max_bytes = 4096}},
      {"as long as we take", V2({0x21, 0x11, 0x0f, 0xf0}), kNeedMore, {.max_bytes = 4096}},
      // Optional: what has begun as a header must be one.
      {"optional, broken v1", "PROXY nonsense\r\n", kReject, {.allow_missing = true}},
      {"optional, PROXY then other", "PROXYING", kAbsent, {.allow_missing = true}},
      {"optional, SMTP", "EHLO", kAbsent, {.allow_missing = true}},
      {"optional, POST shares a letter", "PO", kAbsent, {.allow_missing = true}},
      {"optional, empty line first", "\r\nGET", kAbsent, {.allow_missing = true}},
      // No version allowed: whose turn it is not to send one. Never payload.
      {"forbidden v1", "PROXY ", kReject, {true, false, false}},
      {"forbidden v2", std::string(kSignatureV2), kReject, {true, false, false}},
      {"forbidden, begun", "PROXY", kNeedMore, {true, false, false}},
      {"forbidden, none", "GET / HTTP/1.1", kAbsent, {true, false, false}},
      {"forbidden v1, v2 comes", v4, kDone, {.allow_missing = true, .allow_v1 = false}},
      // Required.
      {"required, request", "GET / HTTP/1.1\r\n", kReject},
      {"required, short line", "X\r\n", kNeedMore},
      {"required, line", "XY\r\n", kReject},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Header header;
    const ParseResult result = ParseInSteps(row.bytes, row.options, &header);
    EXPECT_EQ(result.status, row.want) << result.reason;
    EXPECT_EQ(result.reason.empty(), row.want != kReject);
  }
}

TEST(ParserTest, TakesAddressesCanonically) {
  Header header;
  ASSERT_EQ(
      ParseInSteps("PROXY TCP6 ::ffff:1.2.3.4 2001:db8::1 0 65535\r\nrest", {}, &header).status,
      kDone);
  EXPECT_TRUE(header.has_addresses);
  EXPECT_TRUE(header.is_ipv6);
  EXPECT_EQ(header.source.ToString(), "1.2.3.4:0");
  EXPECT_EQ(header.destination.ToString(), "[2001:db8::1]:65535");
  EXPECT_EQ(header.bytes, 47u);
}

TEST(ParserTest, LocalAndUnknownHaveNoAddresses) {
  const std::vector<std::string> headers = {
      "PROXY UNKNOWN\r\n",          "PROXY UNKNOWN 1.2.3.4 anything 5\r\n",
      V2({0x20, 0, 0, 0}),          V2({0x20, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187}),
      V2({0x20, 0x99, 0, 2, 1, 2}),  // whatever it is, it is skipped
      V2({0x21, 0x00, 0, 1, 1})};
  for (const std::string& bytes : headers) {
    Header header;
    ASSERT_EQ(ParseInSteps(bytes + "more", {}, &header).status, kDone);
    EXPECT_FALSE(header.has_addresses);
    EXPECT_EQ(header.source, net::SocketAddress());
    EXPECT_TRUE(header.tlvs.empty());
    EXPECT_EQ(header.bytes, bytes.size());
  }
}

TEST(ParserTest, LeavesTheOutputAloneUntilDone) {
  Header header{.version = 7};
  EXPECT_EQ(Parse("PROXY TCP4 1.2.3.4 5.6.7.8 80 x\r\n", {}, &header).status, kReject);
  EXPECT_EQ(Parse("PROXY TCP4 1.2.3.4", {}, &header).status, kNeedMore);
  EXPECT_EQ(header.version, 7);
}

TEST(ParserTest, ChecksumIsCheckedOverEveryByte) {
  const Addresses addresses{*net::SocketAddress::Parse("1.2.3.4:5"),
                            *net::SocketAddress::Parse("[2001:db8::1]:6")};
  const Tlv tlvs[] = {{kTlvAuthority, "shop.example"}, {kTlvNoop, ""}};
  char memory[256];
  const auto size = FormatV2(addresses, tlvs, Checksum::kCrc32c, memory);
  ASSERT_TRUE(size);
  Header header;
  ASSERT_EQ(Parse({memory, *size}, {}, &header).status, kDone);
  for (size_t at = 0; at < *size; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      memory[at] = static_cast<char>(memory[at] ^ (1 << bit));
      const ParseStatus status = Parse({memory, *size}, {}, &header).status;
      memory[at] = static_cast<char>(memory[at] ^ (1 << bit));
      if (status != kDone) continue;
      // Other than by LOCAL (no block is read) a flipped bit may only pass in the TLV's own type,
      // where the sum is no sum any more.
      const bool is_command = at == 12 && bit == 0;
      const bool is_sum_type = at == *size - 7;
      EXPECT_TRUE(is_command || is_sum_type) << "byte " << at << " bit " << bit;
    }
  }
}

}  // namespace
}  // namespace whence::proxy_protocol
