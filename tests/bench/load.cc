#include "tests/bench/load.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace whence::bench {

uint32_t LoadResult::Percentile(double fraction) const {
  if (latencies.empty()) return 0;
  const auto index = static_cast<size_t>(fraction * static_cast<double>(latencies.size()));
  return latencies[std::min(index, latencies.size() - 1)];
}

std::string SmallRequest(const Pod& pod, const std::string& path, const std::string& fields) {
  return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", pod.address, ":", kHttpPort,
                      "\r\nUser-Agent: whence-bench\r\nAccept: */*\r\n", fields, "\r\n");
}

}  // namespace whence::bench
