// The console's pages: values in, HTML out.
//
// Pure.
#ifndef WHENCE_CONTROLPLANE_CONSOLE_PAGES_H_
#define WHENCE_CONTROLPLANE_CONSOLE_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/console/request.h"
#include "whence/v1/admin.pb.h"

namespace whence::console {

// The one stylesheet, in every page; the policy allows nothing else, and names it by its digest.
extern const char kStyle[];
extern const char kContentSecurityPolicy[];

inline constexpr int kMaxRevisions = 10;
inline constexpr size_t kMaxAgents = 500;

// What cannot be had says why, and the rest of the page is there.
struct Overview {
  int64_t now_us = 0;
  absl::Status health;  // what is degraded
  uint64_t revision = 0;
  std::map<std::string, size_t> documents;  // how many, by kind
  v1::ListAgentsResponse agents;
  absl::StatusOr<v1::HistoryResponse> history = v1::HistoryResponse();
  absl::StatusOr<uint64_t> records = 0u;  // stored
};
std::string OverviewPage(const Overview& overview);

struct Logs {
  int64_t now_us = 0;
  Params params;
  absl::StatusOr<std::vector<v1::LogRow>> rows = std::vector<v1::LogRow>();  // newest first
};
std::string LogsPage(const Logs& logs);

struct Top {
  int64_t now_us = 0;
  std::string since;   // as asked: "1h"
  absl::Status fault;  // of the question; then there are no counts
  absl::StatusOr<v1::TopResponse> clients = v1::TopResponse();
  absl::StatusOr<v1::TopResponse> workloads = v1::TopResponse();
  absl::StatusOr<v1::TopResponse> denied = v1::TopResponse();
};
std::string TopPage(const Top& top);

}  // namespace whence::console

#endif  // WHENCE_CONTROLPLANE_CONSOLE_PAGES_H_
