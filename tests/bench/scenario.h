// What is measured: a load, a unit of work, and who is compared.
#ifndef WHENCE_TESTS_BENCH_SCENARIO_H_
#define WHENCE_TESTS_BENCH_SCENARIO_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/load.h"
#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace whence::bench {

struct Settings {
  Cores cores;
  int connections = 64;  // of the keep-alive load
  Fields fields = Fields::kFew;
  int rate = 0;        // of the keep-alive load, requests per second; 0: all it can
  int pairs = 2000;    // idle connections of the memory scenario
  double seconds = 1;  // of one round of one proxy
};

struct Scenario {
  std::string name;
  std::string what;
  std::vector<Column> columns;
  std::string reference;
  std::vector<std::string> proxies;  // unless told otherwise
  // One round of one proxy: a value per column.
  absl::StatusOr<std::vector<double>> (*measure)(const Peer& peer, const Settings& settings);
  int max_rounds = 1000;  // memory is looked at once: it does not shrink again
};

const std::vector<Scenario>& Scenarios();

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_SCENARIO_H_
