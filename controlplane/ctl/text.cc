#include "controlplane/ctl/text.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "common/base/utf8.h"

namespace whence::ctl {
namespace {

struct Range {
  char32_t first, last;
};

// Combining marks: no cell of their own.
constexpr Range kZeroWidth[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},
                                {0x064b, 0x065f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
                                {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
// East Asian Wide and Fullwidth, and emoji.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                           {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
                           {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                           {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                           {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t N>
bool Contains(const Range (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

constexpr char32_t kInvalid = 0xffffffff;

// Takes one character off the front; kInvalid (and one byte) where there is none.
char32_t TakeCharacter(std::string_view* text) {
  const auto [code_point, size] = DecodeUtf8(*text);
  text->remove_prefix(std::max<size_t>(size, 1));
  return size == 0 ? kInvalid : code_point;
}

size_t CellsOf(char32_t c) { return Contains(kZeroWidth, c) ? 0 : Contains(kWide, c) ? 2 : 1; }

void AppendHex(const char* format, unsigned value, std::string* out) {
  char text[16];
  std::snprintf(text, sizeof text, format, value);
  *out += text;
}

}  // namespace

std::string Escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::string_view before = text;
    char32_t c = TakeCharacter(&text);
    if (c == kInvalid) {
      AppendHex("\\x%02x", static_cast<unsigned char>(before[0]), &out);
    } else if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (!IsHidden(c)) {
      out += before.substr(0, before.size() - text.size());
    } else if (c < 0x80) {
      AppendHex("\\x%02x", c, &out);
    } else {
      AppendHex(c > 0xffff ? "\\U%08x" : "\\u%04x", c, &out);
    }
  }
  return out;
}

size_t DisplayWidth(std::string_view text) {
  size_t cells = 0;
  while (!text.empty()) cells += CellsOf(TakeCharacter(&text));
  return cells;
}

std::string Shorten(std::string_view text, size_t cells) {
  if (DisplayWidth(text) <= cells) return std::string(text);
  std::string_view rest = text;
  size_t used = 0;
  size_t kept = 0;
  while (!rest.empty()) {
    used += CellsOf(TakeCharacter(&rest));
    if (used + 1 > cells) break;
    kept = text.size() - rest.size();
  }
  return std::string(text.substr(0, kept)) + "…";
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    if (TakeCharacter(&text) == kInvalid) return false;
  }
  return true;
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    std::string_view before = text;
    char32_t c = TakeCharacter(&text);
    if (c == kInvalid) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c <= 0xffff && IsHidden(c)) {
      // The same text for a machine, and nothing to obey for the terminal it may be printed on.
      AppendHex("\\u%04x", c, &out);
    } else if (IsHidden(c)) {
      AppendHex("\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                &out);  // a surrogate pair, as JSON wants
      AppendHex("\\u%04x", 0xdc00 + ((c - 0x10000) & 0x3ff), &out);
    } else {
      out += before.substr(0, before.size() - text.size());
    }
  }
  return out + "\"";
}

void Table::Add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = cell.empty() ? "-" : Escape(cell);
  AddEscaped(std::move(cells));
}

void Table::AddEscaped(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths(rows_[0].size());
  for (const std::vector<std::string>& row : rows_) {
    // A row's last cell pushes nothing, so it makes no column wider.
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  }
  for (const std::vector<std::string>& row : rows_) out << FixedRow(row, widths);
}

std::string FixedRow(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  constexpr size_t kGap = 2;
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 == cells.size()) break;
    size_t width = DisplayWidth(cells[i]);
    line.append(width < widths[i] ? widths[i] - width + kGap : kGap, ' ');
  }
  return line + "\n";
}

std::string TimeText(int64_t time_us) {
  auto seconds = static_cast<std::time_t>(time_us / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>(time_us % 1'000'000));
  return text;
}

std::string SpanText(int64_t span_us) {
  auto tenths = [](double value, const char* unit) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f%s", value, unit);
    return std::string(text);
  };
  constexpr int64_t kSecond = 1'000'000;
  if (span_us < 0) return "0us";
  if (span_us < 1000) return std::to_string(span_us) + "us";
  auto span = static_cast<double>(span_us);
  if (span_us < kSecond) return tenths(span / 1e3, "ms");
  if (span_us < 60 * kSecond) return tenths(span / 1e6, "s");
  if (span_us < 3600 * kSecond) return std::to_string(span_us / kSecond / 60) + "m";
  if (span_us < 48 * 3600 * kSecond) return std::to_string(span_us / kSecond / 3600) + "h";
  return std::to_string(span_us / kSecond / 86'400) + "d";
}

}  // namespace whence::ctl
