#include "common/proxy_protocol/tlv_text.h"

#include <gtest/gtest.h>

#include "common/proxy_protocol/tlv.h"

namespace whence::proxy_protocol {
namespace {

std::string Bytes(uint8_t type, std::string_view value) {
  std::string bytes = {static_cast<char>(type), static_cast<char>(value.size() >> 8),
                       static_cast<char>(value.size())};
  return bytes.append(value);
}

TEST(TlvTextTest, NamesWhatTellsWhoCame) {
  using std::string_view;
  const struct {
    uint8_t type;
    string_view value;
    const char* want;
  } rows[] = {
      {kTlvAuthority, "shop.example", "authority=shop.example"},
      {kTlvAuthority, "", "authority="},
      {kTlvUniqueId, "req-1", "unique-id=req-1"},
      {kTlvUniqueId, string_view("\x00\xff", 2), "unique-id=00ff"},
      // AWS' documentation, "VPC endpoint ID".
      {kTlvAws, "\x01vpce-08d2bf15fac5001c9", "aws-vpce-id=vpce-08d2bf15fac5001c9"},
      {kTlvAws, "\x02what-else", ""},
      {kTlvAws, "\x01", ""},
      // Azure's documentation: LinkID 0x12345678, little endian.
      {kTlvAzure, string_view("\x01\x78\x56\x34\x12", 5), "azure-link-id=305419896"},
      {kTlvAzure, string_view("\x01\x78\x56\x34", 4), ""},
      // Google's: eight bytes, big endian.
      {kTlvGoogle, string_view("\0\0\0\x01\0\0\0\x02", 8), "gcp-psc-connection=4294967298"},
      {kTlvGoogle, string_view("\0\0\x01", 3), ""},
      {kTlvNoop, "x", ""},
      // A value cannot pass for another item.
      {kTlvAuthority, "a,unique-id=b 100%", "authority=a%2cunique-id=b%20100%25"},
      {kTlvAuthority, "a\nb", "authority=610a62"},
  };
  for (const auto& row : rows) EXPECT_EQ(TlvText(Bytes(row.type, row.value)), row.want);
  EXPECT_EQ(TlvText(""), "");
  EXPECT_EQ(TlvText(Bytes(kTlvNoop, "") + Bytes(kTlvAuthority, "a") + Bytes(kTlvUniqueId, "b")),
            "authority=a,unique-id=b");
}

}  // namespace
}  // namespace whence::proxy_protocol
