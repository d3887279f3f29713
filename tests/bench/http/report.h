// Rounds to a table.
#ifndef WHENCE_TESTS_BENCH_HTTP_REPORT_H_
#define WHENCE_TESTS_BENCH_HTTP_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace whence::bench {

struct Round {
  double requests_per_second = 0;
  double cpu_us_per_request = 0;
  double p50_us = 0;
  double p99_us = 0;
};

struct Row {
  std::string name;
  std::vector<Round> rounds;
  uint64_t resident_kib = 0;
  std::string remark;  // what is wrong with it, if anything
};

double Median(std::vector<double> values);

// Medians, and ratios of CPU to `reference`: the median over rounds of the ratio within the round,
// since rounds of one number ran next to each other in time.
std::string Table(const std::vector<Row>& rows, const std::string& reference);
std::string Json(const std::vector<Row>& rows, const std::string& reference);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_HTTP_REPORT_H_
