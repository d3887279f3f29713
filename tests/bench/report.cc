#include "tests/bench/report.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"

namespace whence::bench {
namespace {

const Row* Find(const Sheet& sheet, const std::string& name) {
  for (const Row& row : sheet.rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

double MedianOf(const Row& row, size_t column) {
  std::vector<double> values;
  for (const auto& round : row.rounds) values.push_back(round[column]);
  return Median(std::move(values));
}

// Nothing: there is nothing to compare with.
std::optional<double> Ratio(const Row& row, const Row* reference, size_t column) {
  if (reference == nullptr) return std::nullopt;
  std::vector<double> ratios;
  for (size_t i = 0; i < row.rounds.size() && i < reference->rounds.size(); ++i) {
    const double against = reference->rounds[i][column];
    if (against > 0) ratios.push_back(row.rounds[i][column] / against);
  }
  if (ratios.empty()) return std::nullopt;
  return Median(std::move(ratios));
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string Table(const Sheet& sheet) {
  std::string out = absl::StrFormat("%s\n%-16s", sheet.title, "proxy");
  for (const Column& column : sheet.columns) {
    absl::StrAppendFormat(&out, " %14s", column.name);
    if (column.judged) absl::StrAppendFormat(&out, " %7s", "ratio");
  }
  out += "\n";
  const Row* reference = Find(sheet, sheet.reference);
  for (const Row& row : sheet.rows) {
    absl::StrAppendFormat(&out, "%-16s", row.name);
    for (size_t i = 0; i < sheet.columns.size(); ++i) {
      absl::StrAppendFormat(&out, " %14.*f", sheet.columns[i].digits, MedianOf(row, i));
      if (!sheet.columns[i].judged) continue;
      const auto ratio = Ratio(row, reference, i);
      out += ratio ? absl::StrFormat(" %7.2f", *ratio) : absl::StrFormat(" %7s", "-");
    }
    out += row.remark.empty() ? "\n" : "  " + row.remark + "\n";
  }
  return out;
}

std::string Json(const Sheet& sheet) {
  std::string out = absl::StrFormat("{\"scenario\":\"%s\",\"reference\":\"%s\",\"rows\":[",
                                    Escaped(sheet.title), sheet.reference);
  const Row* reference = Find(sheet, sheet.reference);
  for (const Row& row : sheet.rows) {
    absl::StrAppendFormat(&out, "%s\n {\"proxy\":\"%s\",\"rounds\":%d",
                          &row == &sheet.rows.front() ? "" : ",", row.name, row.rounds.size());
    for (size_t i = 0; i < sheet.columns.size(); ++i) {
      const Column& column = sheet.columns[i];
      absl::StrAppendFormat(&out, ",\"%s\":%.*f", column.key, column.digits, MedianOf(row, i));
      const auto ratio = column.judged ? Ratio(row, reference, i) : std::nullopt;
      if (ratio) absl::StrAppendFormat(&out, ",\"%s_ratio\":%.3f", column.key, *ratio);
    }
    absl::StrAppendFormat(&out, ",\"remark\":\"%s\"}", Escaped(row.remark));
  }
  return out + "]}\n";
}

}  // namespace whence::bench
