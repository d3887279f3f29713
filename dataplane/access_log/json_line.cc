#include "dataplane/access_log/json_line.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>

#include "dataplane/access_log/record_text.h"

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

// An object, so that the search for one that is not is compiled around it.
constexpr auto kIsPlain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };

// `digits` of them, with zeros in front.
void PutNumber(char* out, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

void AppendText(std::string_view name, std::string_view value, std::string* out) {
  out->append(name);
  AppendJsonString(value, out);
}

void AppendNumber(std::string_view name, uint64_t value, std::string* out) {
  char digits[20];
  const char* const end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out->append(name).append(std::string_view(digits, static_cast<size_t>(end - digits)));
}

void AppendAddress(std::string_view name, const net::IpAddress& address, std::string* out) {
  out->append(name);
  if (address.is_unspecified()) {
    out->append("null");
    return;
  }
  char text[net::IpAddress::kMaxTextSize];
  const size_t size = address.Format(text);
  out->push_back('"');
  out->append(text, size);
  out->push_back('"');
}

std::string_view DecisionText(Decision decision) {
  switch (decision) {
    case Decision::kAllow:
      return "allow";
    case Decision::kDeny:
      return "deny";
    case Decision::kDryRunDeny:
      return "dry-run-deny";
  }
  return "";
}

}  // namespace

void AppendJsonString(std::string_view bytes, std::string* out) {
  out->push_back('"');
  while (!bytes.empty()) {
    // Nearly always all of it.
    const size_t plain =
        static_cast<size_t>(std::find_if_not(bytes.begin(), bytes.end(), kIsPlain) - bytes.begin());
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

JsonLines::JsonLines(const Reporting& reporting) {
  AppendText(R"("agent":)", reporting.agent, &reporting_);
  AppendText(R"(,"workload":)", reporting.workload, &reporting_);
  AppendText(R"(,"namespace":)", reporting.namespace_, &reporting_);
  AppendText(R"(,"node":)", reporting.node, &reporting_);
  AppendText(R"(,"role":)", reporting.role, &reporting_);
}

void JsonLines::Append(const Record& record, std::string* out) const {
  out->append(R"({"time":")").append(TimeText(record.time_us)).append(R"(",)").append(reporting_);
  AppendText(R"(,"protocol":)", ProtocolText(record.protocol), out);
  AppendAddress(R"(,"client_address":)", record.client_address, out);
  AppendText(R"(,"client_reason":)", record.Get(Text::kReason), out);
  AppendAddress(R"(,"direct_peer":)", record.direct_peer, out);
  AppendNumber(R"(,"direct_peer_port":)", record.direct_peer_port, out);
  AppendText(R"(,"forwarded_for":)", record.Get(Text::kForwardedFor), out);
  AppendAddress(R"(,"external_address":)", record.external_address, out);
  AppendAddress(R"(,"destination":)", record.destination_address, out);
  AppendNumber(R"(,"destination_port":)", record.destination_port, out);
  AppendAddress(R"(,"upstream_source":)", record.upstream_source, out);
  AppendText(R"(,"method":)", record.Get(Text::kMethod), out);
  AppendText(R"(,"host":)", record.Get(Text::kHost), out);
  AppendText(R"(,"path":)", record.Get(Text::kPath), out);
  AppendNumber(R"(,"status":)", record.status, out);
  AppendText(R"(,"decision":)", DecisionText(record.decision), out);
  AppendText(R"(,"policy":)", record.Get(Text::kPolicy), out);
  AppendNumber(R"(,"bytes_in":)", record.bytes_in, out);
  AppendNumber(R"(,"bytes_out":)", record.bytes_out, out);
  AppendNumber(R"(,"duration_us":)", record.duration_us, out);
  AppendText(R"(,"flags":)", HasFlags(record) ? FlagsText(record) : std::string(), out);
  AppendText(R"(,"request_id":)", record.Get(Text::kRequestId), out);
  AppendText(R"(,"proxy_tlvs":)", record.Get(Text::kProxyTlvs), out);
  out->append("}\n");
}

void JsonLines::AppendGap(int64_t time_us, uint64_t dropped, std::string* out) const {
  out->append(R"({"time":")").append(TimeText(time_us)).append(R"(",)").append(reporting_);
  AppendNumber(R"(,"dropped":)", dropped, out);
  out->append("}\n");
}

}  // namespace whence::access_log
