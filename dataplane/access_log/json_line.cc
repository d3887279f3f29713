#include "dataplane/access_log/json_line.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>

#include "common/net/ip_address.h"

namespace whence::access_log {
namespace {

void AppendEscape(uint32_t unit, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kHex[unit >> shift & 15]);
}

// The UTF-8 sequence at the start of `bytes` (RFC 3629, section 4): its length, 0 if there is none,
// and its code point.
size_t DecodeUtf8(std::string_view bytes, uint32_t* code) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = at(0);
  const size_t length = lead < 0x80         ? 1
                        : (lead >> 5) == 6  ? 2
                        : (lead >> 4) == 14 ? 3
                        : (lead >> 3) == 30 ? 4
                                            : 0;
  if (length == 0 || bytes.size() < length) return 0;
  *code = length == 1 ? lead : lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (at(i) & 0x3f);
  }
  static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
  return *code < kLeast[length] || *code > 0x10ffff || surrogate ? 0 : length;
}

// Characters that move the cursor, reorder or hide what stands around them on a terminal. All below
// U+10000.
bool IsHidden(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

bool IsPlain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// `digits` of them, with zeros in front.
void PutNumber(char* out, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

class Object {
 public:
  explicit Object(std::string* out) : out_(out) { out_->push_back('{'); }
  void Text(std::string_view name, std::string_view value) {
    Name(name);
    AppendJsonString(value, out_);
  }
  void Number(std::string_view name, uint64_t value) {
    Name(name);
    char digits[20];
    out_->append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
  }
  // 16 bytes; empty (none) and anything else is null.
  void Address(std::string_view name, std::string_view bytes) {
    Name(name);
    net::IpAddress::Bytes raw;
    if (bytes.size() != raw.size()) {
      *out_ += "null";
      return;
    }
    std::copy(bytes.begin(), bytes.end(), raw.begin());
    char text[net::IpAddress::kMaxTextSize];
    const size_t size = net::IpAddress::FromV6(raw).Format(text);
    out_->push_back('"');
    out_->append(text, size);
    out_->push_back('"');
  }
  void End() { *out_ += "}\n"; }

 private:
  void Name(std::string_view name) {
    if (!first_) out_->push_back(',');
    first_ = false;
    out_->push_back('"');
    out_->append(name);
    *out_ += "\":";
  }

  std::string* const out_;
  bool first_ = true;
};

std::string_view DecisionText(v1::Decision decision) {
  switch (decision) {
    case v1::ALLOW_DECISION:
      return "allow";
    case v1::DENY_DECISION:
      return "deny";
    case v1::DRY_RUN_DENY_DECISION:
      return "dry-run-deny";
    default:
      return "";
  }
}

}  // namespace

void AppendJsonString(std::string_view bytes, std::string* out) {
  out->push_back('"');
  while (!bytes.empty()) {
    // Nearly always all of it.
    const size_t plain = static_cast<size_t>(
        std::find_if_not(bytes.begin(), bytes.end(), IsPlain) - bytes.begin());
    out->append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) break;
    uint32_t code = 0;
    const size_t length = DecodeUtf8(bytes, &code);
    if (length == 0) {
      AppendEscape(static_cast<uint8_t>(bytes[0]), out);
    } else if (code == '"' || code == '\\') {
      out->push_back('\\');
      out->push_back(bytes[0]);
    } else if (IsHidden(code)) {
      AppendEscape(code, out);
    } else {
      out->append(bytes.substr(0, length));
    }
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  out->push_back('"');
}

std::string TimeText(int64_t time_us) {
  using std::chrono::days;
  using std::chrono::microseconds;
  const std::chrono::sys_time<microseconds> time{microseconds(time_us)};
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<microseconds> clock(time - day);
  std::string text = "0000-00-00T00:00:00.000000Z";
  char* const at = text.data();
  PutNumber(at, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  PutNumber(at + 5, static_cast<unsigned>(date.month()), 2);
  PutNumber(at + 8, static_cast<unsigned>(date.day()), 2);
  PutNumber(at + 11, static_cast<unsigned>(clock.hours().count()), 2);
  PutNumber(at + 14, static_cast<unsigned>(clock.minutes().count()), 2);
  PutNumber(at + 17, static_cast<unsigned>(clock.seconds().count()), 2);
  PutNumber(at + 20, static_cast<unsigned>(clock.subseconds().count()), 6);
  return text;
}

void AppendJsonLine(const v1::AccessRecord& record, const Reporting& reporting, std::string* out) {
  Object object(out);
  object.Text("time", TimeText(record.time_us()));
  object.Text("agent", reporting.agent);
  object.Text("workload", reporting.workload);
  object.Text("namespace", reporting.namespace_);
  object.Text("node", reporting.node);
  object.Text("role", reporting.role);
  if (record.dropped() > 0) {
    object.Number("dropped", record.dropped());
    return object.End();
  }
  object.Text("protocol", record.protocol());
  object.Address("client_address", record.client_address());
  object.Text("client_reason", record.client_reason());
  object.Address("direct_peer", record.direct_peer());
  object.Number("direct_peer_port", record.direct_peer_port());
  object.Text("forwarded_for", record.forwarded_for());
  object.Address("external_address", record.external_address());
  object.Address("destination", record.destination());
  object.Number("destination_port", record.destination_port());
  object.Address("upstream_source", record.upstream_source());
  object.Text("method", record.method());
  object.Text("host", record.host());
  object.Text("path", record.path());
  object.Number("status", record.status());
  object.Text("decision", DecisionText(record.decision()));
  object.Text("policy", record.policy());
  object.Number("bytes_in", record.bytes_in());
  object.Number("bytes_out", record.bytes_out());
  object.Number("duration_us", record.duration_us());
  object.Text("flags", record.flags());
  object.Text("request_id", record.request_id());
  object.Text("proxy_tlvs", record.proxy_tlvs());
  object.End();
}

}  // namespace whence::access_log
