// One access, as a worker writes it: a fixed-size value without pointers.
//
// The worker fills a Record on its stack while it serves a request or connection and copies it into
// its ring (ring.h). Nothing here allocates, locks or formats; text for people and for the wire is
// made on the reporter's thread. Fields are those of the view `access_log`.
//
// Text from the network is bounded here, per field, and what was cut is marked. The texts stand one
// behind the other in one area, so that a copy moves only what is used (`used_bytes`):
//
//   | fixed fields | spans | "GET" "/index.html" "shop.example" …      (unused) |
//                            ^ text_[span.begin, span.begin + span.size)
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RECORD_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RECORD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "common/net/roles.h"

namespace whence::access_log {

enum class Protocol : uint8_t { kTcp, kHttp10, kHttp11 };

enum class Decision : uint8_t { kAllow, kDeny, kDryRunDeny };

// What else happened. A set: bits, printed comma-separated by the names in record_text.cc.
enum class Flag : uint32_t {
  kUpstreamConnectFailed = 1u << 0,    // refused, unreachable
  kUpstreamTimeout = 1u << 1,          // connect or response deadline
  kUpstreamReset = 1u << 2,            // closed or reset before the response was complete
  kUpstreamProtocolError = 1u << 3,    // its response could not be parsed
  kDownstreamReset = 1u << 4,          // the client went away before the response was complete
  kDownstreamProtocolError = 1u << 5,  // malformed request or PROXY protocol header
  kDownstreamTimeout = 1u << 6,        // header, body or idle deadline
  kNoRoute = 1u << 7,                  // no listener, route or endpoint
  kSourceFallback = 1u << 8,           // upstream source could not be spoofed, own address used
  kSourceUnavailable = 1u << 9,        // upstream source could not be spoofed, access failed
  kSpoofedHeaders = 1u << 10,  // an untrusted peer sent headers that only our own agents may set
  kLoop = 1u << 11,            // our own traffic came back to us
  kPolicyClosed = 1u << 12,    // was allowed, then closed by a newer revision
  kDrained = 1u << 13,         // cut off by the end of a drain
  kOverload = 1u << 14,        // refused or closed by a limit
  kUpgrade = 1u << 15,         // switched protocols (WebSocket)
  kProxyProtocol = 1u << 16,   // a PROXY protocol header was taken from the downstream
  kProxyHeaderMissing = 1u << 17,     // refused: it must begin with one, and did not
  kProxyHeaderUnexpected = 1u << 18,  // refused: it began with one, and may not
};

// The bounded texts of a record. Order is that of kTextLimits.
enum class Text : uint8_t {
  kReason,
  kMethod,
  kHost,
  kPath,
  kForwardedFor,
  kPolicy,
  kRequestId,
  kProxyTlvs,
};
inline constexpr size_t kTextCount = 8;
// Bytes. A path of 256 holds nearly every real one; forwarded_for holds some twelve IPv4 hops.
inline constexpr std::array<uint16_t, kTextCount> kTextLimits = {24,  16,  112, 256,
                                                                 224, 112, 48,  200};
// The sum but for TLVs, which few records have and fewer beside a path as long as that: set last,
// they take what the others left.
inline constexpr size_t kTextAreaBytes = 24 + 16 + 112 + 256 + 224 + 112 + 48 + 72;

// Trivially copyable value; thread-compatible. The bytes beyond `used_bytes` are indeterminate.
class Record {
 public:
  // Addresses: unspecified ("::") means none.
  void SetDirectPeer(const net::DirectPeer& peer) {
    direct_peer = peer.address.ip;
    direct_peer_port = peer.address.port;
  }
  void SetClient(const net::TrustedClient& client) { client_address = client.ip(); }
  void SetDestination(const net::OriginalDestination& destination) {
    destination_address = destination.address.ip;
    destination_port = destination.address.port;
  }

  void Add(Flag flag) { flags |= static_cast<uint32_t>(flag); }
  bool Has(Flag flag) const { return (flags & static_cast<uint32_t>(flag)) != 0; }

  // Copies at most the field's limit and marks the rest as cut. Replaces an earlier value.
  void Set(Text field, std::string_view value) {
    Begin(field);
    Append(field, value);
  }
  // For lists that arrive in pieces (several X-Forwarded-For lines): adds `separator`, unless it is
  // the first piece, and `value`. REQUIRES: `field` is the text that was set last.
  void AppendListItem(Text field, std::string_view value, std::string_view separator = ", ") {
    const Span& span = spans_[Index(field)];
    if (span.size != 0) {
      Append(field, separator);
    } else {
      Begin(field);
    }
    Append(field, value);
  }

  std::string_view Get(Text field) const {
    const Span& span = spans_[Index(field)];
    return {text_.data() + span.begin, span.size};
  }
  bool IsTruncated(Text field) const { return (truncated_ & (1u << Index(field))) != 0; }

  // As assignment, of the bytes that are used only.
  void CopyFrom(const Record& other) {
    std::memcpy(static_cast<void*>(this), &other, other.used_bytes());
  }
  // How many bytes from the start of the object a copy must move.
  size_t used_bytes() const { return sizeof(Record) - kTextAreaBytes + text_used_; }

  int64_t time_us = 0;       // start, microseconds since the epoch, UTC
  uint64_t bytes_in = 0;     // from the downstream, heads included
  uint64_t bytes_out = 0;    // to the downstream
  uint64_t duration_us = 0;  // until the last byte
  net::IpAddress client_address;
  net::IpAddress direct_peer;
  net::IpAddress external_address;
  net::IpAddress destination_address;
  net::IpAddress upstream_source;
  uint32_t flags = 0;
  uint16_t direct_peer_port = 0;
  uint16_t destination_port = 0;
  uint16_t status = 0;  // 0: no HTTP answer
  Protocol protocol = Protocol::kTcp;
  Decision decision = Decision::kAllow;

 private:
  struct Span {
    uint16_t begin = 0;
    uint16_t size = 0;
  };

  static constexpr size_t Index(Text field) { return static_cast<size_t>(field); }

  // A text that is set again starts behind all others; its old bytes are lost room, never another
  // text's.
  void Begin(Text field) {
    Span& span = spans_[Index(field)];
    if (span.size != 0 && span.begin + span.size == text_used_) text_used_ = span.begin;
    span = Span{text_used_, 0};
    truncated_ &= static_cast<uint8_t>(~(1u << Index(field)));
  }
  void Append(Text field, std::string_view value) {
    Span& span = spans_[Index(field)];
    const size_t room =
        std::min<size_t>(kTextLimits[Index(field)] - span.size, kTextAreaBytes - text_used_);
    const size_t size = std::min(value.size(), room);
    if (size != value.size()) truncated_ |= static_cast<uint8_t>(1u << Index(field));
    if (size == 0) return;
    std::memcpy(text_.data() + text_used_, value.data(), size);
    text_used_ = static_cast<uint16_t>(text_used_ + size);
    span.size = static_cast<uint16_t>(span.size + size);
  }

  std::array<Span, kTextCount> spans_{};
  uint8_t truncated_ = 0;  // bit per Text
  uint16_t text_used_ = 0;
  std::array<char, kTextAreaBytes> text_;  // left alone until used: a record is cheap to begin
};

static_assert(std::is_trivially_copyable_v<Record>, "the ring copies bytes");
static_assert(sizeof(Record) <= 1024, "the smallest ring holds two");

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_RECORD_H_
