// Rounds to a table.
#ifndef WHENCE_TESTS_BENCH_REPORT_H_
#define WHENCE_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

namespace whence::bench {

struct Column {
  std::string name;     // for people: "CPU us/request"
  std::string key;      // for programs: "cpu_us"
  bool judged = false;  // a column with the ratio to the reference stands behind it
  int digits = 0;       // behind the point
};

struct Row {
  std::string name;
  std::vector<std::vector<double>> rounds;  // per round one value per column
  std::string remark;                       // what is wrong with it, if anything
};

struct Sheet {
  std::string title;
  std::vector<Column> columns;
  std::string reference;  // name of a row
  std::vector<Row> rows;
};

double Median(std::vector<double> values);

// Medians, and ratios to the reference: the median over rounds of the ratio within the round, since
// rounds of one number ran next to each other in time.
std::string Table(const Sheet& sheet);
// One object; `{"scenario":…,"rows":[{"proxy":…,"cpu_us":…,"cpu_us_ratio":…},…]}`.
std::string Json(const Sheet& sheet);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_REPORT_H_
