#include "tests/bench/http/report.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace whence::bench {
namespace {

double MedianOf(const Row& row, double Round::*value) {
  std::vector<double> values;
  for (const Round& round : row.rounds) values.push_back(round.*value);
  return Median(std::move(values));
}

const Row* Find(const std::vector<Row>& rows, const std::string& name) {
  for (const Row& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// 0: nothing to compare with.
double Ratio(const Row& row, const Row* reference) {
  if (reference == nullptr) return 0;
  std::vector<double> ratios;
  for (size_t i = 0; i < row.rounds.size() && i < reference->rounds.size(); ++i) {
    const double against = reference->rounds[i].cpu_us_per_request;
    if (against > 0) ratios.push_back(row.rounds[i].cpu_us_per_request / against);
  }
  return Median(std::move(ratios));
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string Table(const std::vector<Row>& rows, const std::string& reference) {
  std::string out = absl::StrFormat("%-16s %10s %12s %8s %9s %9s %9s  %s\n", "proxy", "requests/s",
                                    "CPU us/req", "ratio", "p50 us", "p99 us", "RSS KiB", "");
  const Row* against = Find(rows, reference);
  for (const Row& row : rows) {
    absl::StrAppendFormat(&out, "%-16s %10.0f %12.2f %8.2f %9.0f %9.0f %9d  %s\n", row.name,
                          MedianOf(row, &Round::requests_per_second),
                          MedianOf(row, &Round::cpu_us_per_request), Ratio(row, against),
                          MedianOf(row, &Round::p50_us), MedianOf(row, &Round::p99_us),
                          row.resident_kib, row.remark);
  }
  return out;
}

std::string Json(const std::vector<Row>& rows, const std::string& reference) {
  std::string out = "[";
  const Row* against = Find(rows, reference);
  for (const Row& row : rows) {
    absl::StrAppendFormat(
        &out,
        "%s\n{\"proxy\":\"%s\",\"requests_per_second\":%.0f,\"cpu_us_per_request\":%.2f,"
        "\"ratio\":%.3f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"resident_kib\":%d,\"rounds\":%d,"
        "\"remark\":\"%s\"}",
        out.size() > 1 ? "," : "", row.name, MedianOf(row, &Round::requests_per_second),
        MedianOf(row, &Round::cpu_us_per_request), Ratio(row, against),
        MedianOf(row, &Round::p50_us), MedianOf(row, &Round::p99_us), row.resident_kib,
        row.rounds.size(), row.remark);
  }
  return out + "\n]\n";
}

}  // namespace whence::bench
