#include "dataplane/access_log/record_encoder.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "dataplane/access_log/record_text.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {
namespace {

using v1::AccessRecord;

constexpr size_t kMaxVarint = 10;
constexpr uint32_t kVarintType = 0;
constexpr uint32_t kBytesType = 2;

// Writes into room that was made for the largest record beforehand: no growth check per byte.
class Writer {
 public:
  explicit Writer(char* begin) : at_(begin) {}
  char* at() const { return at_; }

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<char>(value);
  }
  void Number(int field, uint64_t value) {
    if (value == 0) return;
    Varint(static_cast<uint32_t>(field) << 3 | kVarintType);
    Varint(value);
  }
  void Bytes(int field, std::string_view value) {
    if (value.empty()) return;
    Varint(static_cast<uint32_t>(field) << 3 | kBytesType);
    Varint(value.size());
    std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
  }
  // For fields of type `string`, which must be UTF-8 (see record_text.cc).
  void Ascii(int field, std::string_view value) {
    if (value.empty()) return;
    Bytes(field, value);
    std::replace_if(
        at_ - value.size(), at_, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  }
  void Address(int field, const net::IpAddress& address) {
    if (address.is_unspecified()) return;
    const auto* const bytes = reinterpret_cast<const char*>(address.bytes().data());
    const size_t skipped = address.is_v4() ? 12 : 0;  // ::ffff:
    Bytes(field, {bytes + skipped, address.bytes().size() - skipped});
  }

 private:
  char* at_;
};

// Texts, addresses and numbers with their tags and lengths; flags by all their names.
constexpr size_t kMaxBody = kTextAreaBytes + 5 * 18 + 30 * (2 + kMaxVarint) + 600;

void WriteBody(const Record& record, Writer& out) {
  out.Number(AccessRecord::kTimeUsFieldNumber, static_cast<uint64_t>(record.time_us));
  out.Bytes(AccessRecord::kProtocolFieldNumber, ProtocolText(record.protocol));
  out.Address(AccessRecord::kClientAddressFieldNumber, record.client_address);
  out.Ascii(AccessRecord::kClientReasonFieldNumber, record.Get(Text::kReason));
  out.Address(AccessRecord::kDirectPeerFieldNumber, record.direct_peer);
  out.Number(AccessRecord::kDirectPeerPortFieldNumber, record.direct_peer_port);
  out.Bytes(AccessRecord::kForwardedForFieldNumber, record.Get(Text::kForwardedFor));
  out.Address(AccessRecord::kExternalAddressFieldNumber, record.external_address);
  out.Address(AccessRecord::kDestinationFieldNumber, record.destination_address);
  out.Number(AccessRecord::kDestinationPortFieldNumber, record.destination_port);
  out.Address(AccessRecord::kUpstreamSourceFieldNumber, record.upstream_source);
  out.Bytes(AccessRecord::kMethodFieldNumber, record.Get(Text::kMethod));
  out.Bytes(AccessRecord::kHostFieldNumber, record.Get(Text::kHost));
  out.Bytes(AccessRecord::kPathFieldNumber, record.Get(Text::kPath));
  out.Number(AccessRecord::kStatusFieldNumber, record.status);
  out.Number(AccessRecord::kDecisionFieldNumber, ToWire(record.decision));
  out.Ascii(AccessRecord::kPolicyFieldNumber, record.Get(Text::kPolicy));
  out.Number(AccessRecord::kBytesInFieldNumber, record.bytes_in);
  out.Number(AccessRecord::kBytesOutFieldNumber, record.bytes_out);
  out.Number(AccessRecord::kDurationUsFieldNumber, record.duration_us);
  if (HasFlags(record)) out.Bytes(AccessRecord::kFlagsFieldNumber, FlagsText(record));
  out.Bytes(AccessRecord::kRequestIdFieldNumber, record.Get(Text::kRequestId));
  out.Bytes(AccessRecord::kProxyTlvsFieldNumber, record.Get(Text::kProxyTlvs));
}

void AppendElement(std::string_view body, std::string* batch) {
  char head[2 * kMaxVarint];
  Writer out(head);
  out.Varint(v1::IngestBatch::kRecordsFieldNumber << 3 | kBytesType);
  out.Varint(body.size());
  batch->append(head, static_cast<size_t>(out.at() - head));
  batch->append(body);
}

}  // namespace

void AppendRecord(const Record& record, std::string* batch) {
  std::array<char, kMaxBody> room;
  Writer out(room.data());
  WriteBody(record, out);
  AppendElement({room.data(), static_cast<size_t>(out.at() - room.data())}, batch);
}

void AppendGap(int64_t time_us, uint64_t dropped, std::string_view flags, std::string* batch) {
  std::array<char, 256> room;
  Writer out(room.data());
  out.Number(AccessRecord::kTimeUsFieldNumber, static_cast<uint64_t>(time_us));
  out.Bytes(AccessRecord::kFlagsFieldNumber, flags.substr(0, 128));
  out.Number(AccessRecord::kDroppedFieldNumber, dropped);
  AppendElement({room.data(), static_cast<size_t>(out.at() - room.data())}, batch);
}

std::string BatchHead(std::string_view boot, uint64_t first_seq) {
  char room[256];
  Writer out(room);
  out.Bytes(v1::IngestBatch::kBootFieldNumber, boot.substr(0, 200));
  out.Number(v1::IngestBatch::kFirstSeqFieldNumber, first_seq);
  return {room, static_cast<size_t>(out.at() - room)};
}

std::string RequestHead(uint64_t size) {
  char room[2 * kMaxVarint];
  Writer out(room);
  out.Varint(v1::IngestRequest::kBatchFieldNumber << 3 | kBytesType);
  out.Varint(size);
  return {room, static_cast<size_t>(out.at() - room)};
}

}  // namespace whence::access_log
