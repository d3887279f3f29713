// Access records as agents send them, as fast as they are taken.
#ifndef WHENCE_TESTS_BENCH_ACCESS_LOG_FLOOD_H_
#define WHENCE_TESTS_BENCH_ACCESS_LOG_FLOOD_H_

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

#include "dataplane/access_log/record.h"

namespace whence::bench {

// What a gateway with two proxies in front sees: clients of a million addresses, one in 4096 of
// them in 198.51.100.0/24; two forwarded hops; thirty paths; a UUID each. One in twenty is denied.
class Records {
 public:
  explicit Records(uint32_t seed) : random_(seed) {}
  const access_log::Record& Next(int64_t time_us);

 private:
  std::mt19937_64 random_;
  access_log::Record record_;
};

// Of all streams. Thread-safe.
struct Progress {
  std::atomic<uint64_t> acknowledged{0};
  std::atomic<int64_t> slowest_us{0};  // from a batch's sending to its acknowledgement
};

// One agent's stream: `records` records in batches of 500, eight batches under way, made while they
// are sent. False: the stream ended before all were acknowledged.
bool Flood(const std::string& target, uint32_t agent, uint64_t records, Progress* progress);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_ACCESS_LOG_FLOOD_H_
