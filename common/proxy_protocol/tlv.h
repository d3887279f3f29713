// The extensions behind the addresses of a PROXY protocol v2 header: type, length, value.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_TLV_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_TLV_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace whence::proxy_protocol {

// Types of the protocol text (section 2.2) and those that clouds took for themselves.
inline constexpr uint8_t kTlvAuthority = 0x02;
inline constexpr uint8_t kTlvCrc32c = 0x03;
inline constexpr uint8_t kTlvNoop = 0x04;
inline constexpr uint8_t kTlvUniqueId = 0x05;
inline constexpr uint8_t kTlvAws = 0xea;
inline constexpr uint8_t kTlvAzure = 0xee;
inline constexpr uint8_t kTlvGoogle = 0xe0;

inline constexpr size_t kTlvHeadBytes = 3;

struct Tlv {
  uint8_t type = 0;
  std::string_view value;  // any bytes, may be empty; borrowed
  friend bool operator==(const Tlv&, const Tlv&) = default;
};

// A view: walks over TLVs in wire order, borrowed from the header's bytes. Types may repeat.
//
//   for (TlvReader reader(header.tlvs); const auto tlv = reader.Next();) …
class TlvReader {
 public:
  explicit TlvReader(std::string_view bytes) : rest_(bytes) {}

  // nullopt at the end, and where the rest is no TLV; `complete()` tells the two apart. What the
  // parser passed is always complete.
  std::optional<Tlv> Next() {
    if (rest_.size() < kTlvHeadBytes) return std::nullopt;
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(rest_[i]); };
    const size_t length = size_t{byte(1)} << 8 | byte(2);
    if (rest_.size() - kTlvHeadBytes < length) return std::nullopt;
    const Tlv tlv{byte(0), rest_.substr(kTlvHeadBytes, length)};
    rest_.remove_prefix(kTlvHeadBytes + length);
    return tlv;
  }
  bool complete() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_TLV_H_
