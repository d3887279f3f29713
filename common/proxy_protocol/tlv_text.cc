#include "common/proxy_protocol/tlv_text.h"

#include <algorithm>
#include <cstdint>

#include "common/proxy_protocol/tlv.h"

namespace whence::proxy_protocol {
namespace {

constexpr char kCloudSubtype = 0x01;  // of AWS and of Azure: the endpoint's id
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool IsPrintable(char c) { return c > 0x1f && c < 0x7f; }

void AppendHex(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    *out += kHexDigits[static_cast<uint8_t>(c) >> 4];
    *out += kHexDigits[static_cast<uint8_t>(c) & 0xf];
  }
}

void AppendValue(std::string_view value, std::string* out) {
  if (!std::all_of(value.begin(), value.end(), IsPrintable)) return AppendHex(value, out);
  for (const char c : value) {
    if (c == ' ' || c == ',' || c == '%') {
      *out += '%';
      AppendHex({&c, 1}, out);
    } else {
      *out += c;
    }
  }
}

// Azure writes its number with the last byte first, Google as the protocol does.
std::string Number(std::string_view bytes, bool last_first) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t at = last_first ? bytes.size() - 1 - i : i;
    number = number << 8 | static_cast<uint8_t>(bytes[at]);
  }
  return std::to_string(number);
}

void AppendItem(std::string_view name, std::string_view value, std::string* out) {
  if (!out->empty()) *out += ',';
  *out += name;
  *out += '=';
  AppendValue(value, out);
}

void AppendTlv(const Tlv& tlv, std::string* out) {
  const std::string_view value = tlv.value;
  const bool is_endpoint = value.size() > 1 && value[0] == kCloudSubtype;
  switch (tlv.type) {
    case kTlvAuthority:
      return AppendItem("authority", value, out);
    case kTlvUniqueId:
      return AppendItem("unique-id", value, out);
    case kTlvAws:
      if (is_endpoint) AppendItem("aws-vpce-id", value.substr(1), out);
      return;
    case kTlvAzure:
      if (is_endpoint && value.size() == 5) {
        AppendItem("azure-link-id", Number(value.substr(1), /*last_first=*/true), out);
      }
      return;
    case kTlvGoogle:
      if (value.size() == 8) {
        AppendItem("gcp-psc-connection", Number(value, /*last_first=*/false), out);
      }
      return;
    default:
      return;
  }
}

}  // namespace

std::string TlvText(std::string_view tlvs) {
  std::string text;
  for (TlvReader reader(tlvs); const auto tlv = reader.Next();) AppendTlv(*tlv, &text);
  return text;
}

}  // namespace whence::proxy_protocol
