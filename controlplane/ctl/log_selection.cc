#include "controlplane/ctl/log_selection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/strings.h"
#include "common/net/cidr.h"
#include "controlplane/units.h"

namespace whence::ctl {
namespace {

// A moment, or a span before now.
std::string ReadTime(const char* flag, const std::string& text, int64_t* time_us,
                     std::optional<int64_t>* span_us) {
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, ToAbsl(text), &time, nullptr)) {
    *time_us = std::max<int64_t>(absl::ToUnixMicros(time), 1);  // 0 is none
    return "";
  }
  if (ReadSpan(flag, text, span_us).empty()) return "";
  return absl::StrCat(flag, " \"", text,
                      "\": give a duration such as 10m, or a time such as 2026-11-22T22:54:15Z");
}

}  // namespace

std::string ReadSpan(const char* flag, const std::string& text, std::optional<int64_t>* span_us) {
  if (text.empty()) return "";
  std::optional<std::chrono::seconds> span = control::ParseDuration(text);
  if (!span) return std::string(flag) + " \"" + text + "\": give a duration such as 10m";
  *span_us = std::chrono::microseconds(*span).count();
  return "";
}

std::string ReadSelection(const LogFlags& flags, LogSelection* selection) {
  for (const auto& [flag, text] : {std::pair("--client", flags.client), {"--peer", flags.peer}}) {
    if (!text.empty() && !net::Cidr::Parse(text).ok()) {
      return std::string(flag) + " \"" + text + "\": give an address or a CIDR such as 10.0.0.0/8";
    }
  }
  v1::LogQuery& query = selection->query;
  int64_t since_us = 0, until_us = 0;
  std::string error = ReadTime("--since", flags.since, &since_us, &selection->since_span_us);
  if (error.empty()) {
    error = ReadTime("--until", flags.until, &until_us, &selection->until_span_us);
  }
  if (!error.empty()) return error;
  // Of two spans the longer one is the earlier; a span and a time are compared by the server's clock.
  const bool ends_first = (since_us != 0 && until_us != 0 && since_us >= until_us) ||
                          (selection->since_span_us && selection->until_span_us &&
                           *selection->since_span_us <= *selection->until_span_us);
  if (ends_first) {
    return absl::StrCat("--since \"", flags.since, "\" is not before --until \"", flags.until,
                        "\": no record could fit");
  }
  query.set_since_us(since_us);
  query.set_until_us(until_us);
  query.set_client_cidr(flags.client);
  query.set_peer_cidr(flags.peer);
  query.set_workload(flags.workload);
  query.set_decision(flags.decision);
  query.set_policy(flags.policy);
  query.set_status(flags.status);
  query.set_method(flags.method);
  query.set_host(flags.host);
  query.set_path_prefix(flags.path);
  query.set_request_id(flags.request_id);
  query.set_id(flags.id);
  query.set_limit(flags.limit);
  return CheckWorkload(flags.workload);
}

std::string CheckWorkload(const std::string& workload) {
  const size_t slash = workload.find('/');
  const bool named = slash != std::string::npos && slash != 0 && slash + 1 != workload.size() &&
                     workload.find('/', slash + 1) == std::string::npos;
  return workload.empty() || named ? "" : "--workload \"" + workload + "\": give NAMESPACE/NAME";
}

}  // namespace whence::ctl
