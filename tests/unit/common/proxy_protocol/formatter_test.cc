#include "common/proxy_protocol/formatter.h"

#include <string>
#include <vector>

#include "common/proxy_protocol/parser.h"
#include "gtest/gtest.h"

namespace whence::proxy_protocol {
namespace {

net::SocketAddress At(const char* text) { return *net::SocketAddress::Parse(text); }

std::string V1(const std::optional<Addresses>& addresses) {
  char memory[kMaxPlainBytes];
  const auto size = FormatV1(addresses, memory);
  return size ? std::string(memory, *size) : "(too small)";
}

std::string V2(const std::optional<Addresses>& addresses, std::span<const Tlv> tlvs = {}) {
  std::string memory(70'000, '?');
  const auto size = FormatV2(addresses, tlvs, Checksum::kNone, memory);
  return size ? memory.substr(0, *size) : "(too small)";
}

TEST(FormatterTest, Version1Text) {
  EXPECT_EQ(V1(std::nullopt), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(V1(Addresses{At("1.2.3.4:5"), At("6.7.8.9:65535")}),
            "PROXY TCP4 1.2.3.4 6.7.8.9 5 65535\r\n");
  EXPECT_EQ(V1(Addresses{At("[2001:db8::1]:0"), At("[::1]:443")}),
            "PROXY TCP6 2001:db8::1 ::1 0 443\r\n");
  EXPECT_EQ(V1(Addresses{At("1.2.3.4:5"), At("[::1]:443")}),
            "PROXY TCP6 ::ffff:1.2.3.4 ::1 5 443\r\n");
}

TEST(FormatterTest, Version2Bytes) {
  const std::string signature(kSignatureV2);
  EXPECT_EQ(V2(std::nullopt), signature + std::string("\x20\0\0\0", 4));
  EXPECT_EQ(V2(Addresses{At("1.2.3.4:773"), At("0.1.1.2:513")}),
            signature + std::string("\x21\x11\0\x0c\1\2\3\4\0\1\1\2\3\5\2\1", 16));
  const Tlv tlvs[] = {{kTlvUniqueId, "\6\7"}};
  EXPECT_EQ(V2(Addresses{At("1.2.3.4:773"), At("0.1.1.2:513")}, tlvs),
            signature + std::string("\x21\x11\0\x11\1\2\3\4\0\1\1\2\3\5\2\1\5\0\2\6\7", 21));
}

TEST(FormatterTest, ParsesBackToWhatWasWritten) {
  const std::string long_value(3000, 'v');
  const std::vector<Tlv> tlvs = {{1, ""}, {kTlvAuthority, "a.example"}, {1, long_value}};
  const std::vector<const char*> texts = {"1.2.3.4:0", "255.255.255.254:65535", "[::1]:1",
                                          "[fe80::ffff:ffff:ffff:ffff]:65535"};
  for (const char* source : texts) {
    for (const char* destination : texts) {
      for (const Checksum checksum : {Checksum::kNone, Checksum::kCrc32c}) {
        SCOPED_TRACE(std::string(source) + " to " + destination);
        const Addresses addresses{At(source), At(destination)};
        std::string memory(4096, '?');
        const auto size = FormatV2(addresses, tlvs, checksum, memory);
        ASSERT_TRUE(size);
        Header header;
        ASSERT_EQ(Parse(memory, {}, &header).status, ParseStatus::kDone);
        EXPECT_EQ(header.bytes, *size);
        EXPECT_EQ(header.source, addresses.source);
        EXPECT_EQ(header.destination, addresses.destination);
        std::vector<Tlv> got;
        TlvReader reader(header.tlvs);
        while (const auto tlv = reader.Next()) got.push_back(*tlv);
        if (checksum == Checksum::kCrc32c) {
          EXPECT_EQ(got.back().type, kTlvCrc32c);
          got.pop_back();
        }
        EXPECT_EQ(got, tlvs);

        const std::string text = V1(addresses);
        ASSERT_EQ(Parse(text, {}, &header).status, ParseStatus::kDone);
        EXPECT_EQ(header.bytes, text.size());
        EXPECT_EQ(header.source, addresses.source);
        EXPECT_EQ(header.destination, addresses.destination);
      }
    }
  }
}

// CVE-2026-47692 was a length field that did not count what was written.
TEST(FormatterTest, WhatDoesNotFitIsNotWritten) {
  const Addresses addresses{At("1.2.3.4:773"), At("0.1.1.2:513")};
  const std::string value(65535 - 12 - 3, 'v');
  const Tlv fits[] = {{9, value}};
  EXPECT_EQ(V2(addresses, fits).size(), 16u + 65535u);
  const std::string longer = value + "v";
  const Tlv too_long[] = {{9, longer}};
  EXPECT_EQ(V2(addresses, too_long), "(too small)");
  const std::string longest(65536, 'v');
  const Tlv beyond[] = {{9, longest}};
  EXPECT_EQ(V2(std::nullopt, beyond), "(too small)");
  char memory[kMaxPlainBytes];
  EXPECT_FALSE(FormatV2(addresses, fits, Checksum::kCrc32c, memory));
  for (size_t room = 0; room < 28; ++room) {
    EXPECT_FALSE(FormatV2(addresses, {}, Checksum::kNone, std::span(memory, room))) << room;
  }
  EXPECT_EQ(FormatV2(addresses, {}, Checksum::kNone, std::span(memory, 28)), 28u);
  EXPECT_FALSE(FormatV2(addresses, {}, Checksum::kCrc32c, std::span(memory, 34)));
  EXPECT_EQ(FormatV2(addresses, {}, Checksum::kCrc32c, std::span(memory, 35)), 35u);
  EXPECT_FALSE(FormatV1(addresses, std::span(memory, 35)));
  EXPECT_EQ(FormatV1(addresses, std::span(memory, 36)), 36u);
}

TEST(FormatterTest, TheLongestPlainHeadersFit) {
  const auto longest = At("[ffee:eeee:eeee:eeee:eeee:eeee:eeee:eeee]:65535");
  EXPECT_LE(V1(Addresses{longest, longest}).size(), kMaxV1Bytes);
  EXPECT_NE(V1(Addresses{longest, longest}), "(too small)");
}

}  // namespace
}  // namespace whence::proxy_protocol
