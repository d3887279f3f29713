#include "dataplane/access_log/json_line.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>

#include "common/base/utf8.h"
#include "dataplane/access_log/record_text.h"

namespace whence::access_log {
namespace {

void AppendUnit(uint32_t unit, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kHex[unit >> shift & 15]);
}

// JSON has units of UTF-16: two for what is above U+FFFF (RFC 8259, section 7).
void AppendEscape(char32_t code, std::string* out) {
  if (code <= 0xffff) return AppendUnit(code, out);
  AppendUnit(0xd7c0 + (code >> 10), out);
  AppendUnit(0xdc00 + (code & 0x3ff), out);
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
    const auto [code, length] = DecodeUtf8(bytes);
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
