#include "controlplane/access_log/row.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/net/ip_address.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

constexpr int64_t kLastTime = 253402300799999999;  // 9999-12-31: what strftime can show
// What one request or connection may count, in bytes or microseconds: nine years at 1 MB/s. More is
// wrong, and would hide everything else in a sum.
constexpr uint64_t kMaxCount = uint64_t{1} << 48;
// Integers, the record's header, and its part of two indexes.
constexpr size_t kFixedBytes = 120;

// In the order of their codes, from 1. Codes are in files: add at the end only.
constexpr std::array<std::string_view, 4> kProtocols = {"http/1.1", "tcp", "http/1.0", "http/2"};

int64_t Bounded(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max()));
}

int64_t Count(uint64_t value) { return static_cast<int64_t>(std::min(value, kMaxCount)); }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool IsUuidDash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

std::optional<int64_t> ProtocolCode(std::string_view protocol) {
  for (size_t i = 0; i < kProtocols.size(); ++i) {
    if (kProtocols[i] == protocol) return static_cast<int64_t>(i + 1);
  }
  return std::nullopt;
}

std::string_view ProtocolOf(int64_t code) {
  return code >= 1 && static_cast<size_t>(code) <= kProtocols.size()
             ? kProtocols[static_cast<size_t>(code - 1)]
             : std::string_view();
}

std::optional<std::array<char, 16>> PackUuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<char, 16> bytes;
  size_t digit = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsUuidDash(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0) return std::nullopt;
    char& byte = bytes[digit / 2];
    byte = static_cast<char>(digit % 2 == 0 ? value << 4 : (byte | value));
    ++digit;
  }
  return bytes;
}

std::string UnpackUuid(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    if (IsUuidDash(text.size())) text += '-';
    const auto byte = static_cast<uint8_t>(c);
    text += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return text;
}

int64_t Row::time_us() const { return std::clamp<int64_t>(record_.time_us(), 0, kLastTime); }
int64_t Row::dropped() const { return Bounded(record_.dropped()); }

// NULL where there is nothing: `where policy is null` reads better than `= ''`.
Row::Text Row::Fit(const std::string& bytes, size_t max_bytes) {
  if (bytes.empty()) return std::nullopt;
  if (!IsPlain(bytes, max_bytes)) {
    made_.push_back(Escape(bytes, max_bytes));
    bytes_ += made_.back().size();
    return made_.back();
  }
  bytes_ += bytes.size();
  return bytes;
}

std::optional<store::Blob> Row::Address(const std::string& bytes) {
  bytes_ += sizeof(net::IpAddress::Bytes);
  if (bytes.size() == sizeof(net::IpAddress::Bytes)) return store::Blob{bytes};
  std::array<uint8_t, 4> v4;
  if (bytes.size() == v4.size()) {
    std::memcpy(v4.data(), bytes.data(), v4.size());
    const net::IpAddress& mapped = mapped_[mapped_count_++] = net::IpAddress::FromV4(v4);
    return store::Blob{
        {reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()}};
  }
  bytes_ -= sizeof(net::IpAddress::Bytes);
  return std::nullopt;
}

// Of IPv6 only: the view makes IPv4's of the blob.
Row::Text Row::AddressText(const std::string& bytes) {
  net::IpAddress::Bytes raw;
  if (bytes.size() != raw.size()) return std::nullopt;
  std::memcpy(raw.data(), bytes.data(), raw.size());
  const net::IpAddress address = net::IpAddress::FromV6(raw);
  if (address.is_v4()) return std::nullopt;
  made_.push_back(address.ToString());
  bytes_ += made_.back().size();
  return made_.back();
}

absl::Status Row::Insert(store::Statement& insert, int64_t id, int64_t agent_id) {
  const v1::AccessRecord& r = record_;
  bytes_ = kFixedBytes;
  mapped_count_ = 0;
  int column = 0;
  auto bind = [&insert, &column](const auto& value) { insert.Bind(++column, value); };
  auto bind_address = [this, &bind](const std::string& bytes) {
    bind(Address(bytes));
    bind(AddressText(bytes));
  };
  bind(id);
  bind(time_us());
  bind(agent_id);
  if (const std::optional<int64_t> code = ProtocolCode(r.protocol())) {
    bind(*code);
  } else {
    bind(Fit(r.protocol(), kMaxWordBytes).value_or(""));
  }
  bind_address(r.client_address());
  bind(Fit(r.client_reason(), kMaxWordBytes).value_or(""));
  bind_address(r.direct_peer());
  bind(static_cast<int64_t>(r.direct_peer_port()));
  bind(Fit(r.forwarded_for(), kMaxTextBytes));
  bind_address(r.external_address());
  bind_address(r.destination());
  bind(static_cast<int64_t>(r.destination_port()));
  bind_address(r.upstream_source());
  bind(Fit(r.method(), kMaxWordBytes));
  bind(Fit(r.host(), kMaxTextBytes));
  bind(Fit(r.path(), kMaxTextBytes));
  bind(static_cast<int64_t>(r.status()));
  bind(static_cast<int64_t>(r.decision()));
  bind(Fit(r.policy(), 2 * kMaxWordBytes));
  bind(Count(r.bytes_in()));
  bind(Count(r.bytes_out()));
  bind(Count(r.duration_us()));
  bind(Fit(r.flags(), kMaxWordBytes));
  const std::optional<std::array<char, 16>> uuid = PackUuid(r.request_id());
  if (uuid) {
    bytes_ += uuid->size();
    bind(store::Blob{{uuid->data(), uuid->size()}});
  } else {
    bind(Fit(r.request_id(), kMaxWordBytes));
  }
  bind(dropped());
  bind(Fit(r.proxy_tlvs(), kMaxTextBytes));
  return insert.Run();
}

}  // namespace whence::access_log
