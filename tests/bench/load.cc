#include "tests/bench/load.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace whence::bench {
namespace {

constexpr char kFewFields[] = "User-Agent: whence-bench\r\nAccept: */*\r\n";
constexpr char kManyFields[] =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://shop.example.com/catalogue/books\r\n"
    "Cookie: session=5f2c1e0b9a7d4c3e8f6a1b2c3d4e5f60; consent=all; theme=dark\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "X-Forwarded-For: 198.51.100.7, 10.0.0.9\r\n"
    "X-Forwarded-Proto: https\r\n"
    "X-Request-Id: 3b7c2f1e-9d4a-4e6b-8c1f-2a5d7e9b0c34\r\n"
    "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

}  // namespace

uint32_t LoadResult::Percentile(double fraction) const {
  if (latencies.empty()) return 0;
  const auto index = static_cast<size_t>(fraction * static_cast<double>(latencies.size()));
  return latencies[std::min(index, latencies.size() - 1)];
}

std::string RequestFor(const Pod& pod, const std::string& target, const std::string& lines) {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: ", pod.address, ":", kHttpPort, "\r\n",
                      lines, "\r\n");
}

std::string SmallRequest(const Pod& pod, Fields fields, const std::string& path,
                         const std::string& lines) {
  return fields == Fields::kFew ? RequestFor(pod, "/few" + path, kFewFields + lines)
                                : RequestFor(pod, "/many" + path, kManyFields + lines);
}

}  // namespace whence::bench
