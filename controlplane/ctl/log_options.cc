#include "controlplane/ctl/log_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/command_line.h"
#include "common/base/strings.h"
#include "common/net/cidr.h"
#include "controlplane/units.h"

namespace whence::ctl {
namespace {

constexpr uint32_t kDefaultLimit = 100;

void DeclareFilters(CLI::App* logs, LogFlags& flags) {
  logs->add_option("--client", flags.client, "Only trusted clients in this CIDR");
  logs->add_option("--peer", flags.peer, "Only direct peers in this CIDR");
  logs->add_option("--workload", flags.workload, "Only this workload, NAMESPACE/NAME");
  logs->add_option("--decision", flags.decision, "Only these")
      ->check(CLI::IsMember({"allow", "deny", "dry-run-deny"}));
  logs->add_option("--policy", flags.policy, "Only what this policy decided, NAMESPACE/NAME");
  logs->add_option("--status", flags.status, "Only answers with this HTTP status")
      ->check(CLI::Range(100, 999));
  logs->add_option("--method", flags.method, "Only this HTTP method");
  logs->add_option("--host", flags.host, "Only this host");
  logs->add_option("--path", flags.path, "Only paths that begin so");
  logs->add_option("--request-id", flags.request_id, "Only this request");
  logs->add_option("--id", flags.id, "Only the record of this number (-o json prints it)")
      ->check(WholeNumberFrom<int64_t>(1))
      ->type_name("NUMBER");
  logs->add_option("--since", flags.since,
                   "Only the last 90s, 10m, 2h, 1d; or from this time on, 2026-11-22T22:54:15Z");
  logs->add_option("--until", flags.until,
                   "Only what is older than 90s, 10m, 2h, 1d; or than this time");
}

void DeclareExport(CLI::App* logs, LogFlags& flags) {
  CLI::App* all = logs->add_subcommand(
      "export", "Write all records that fit the filters of logs to a file, the oldest first");
  all->add_option("--format", flags.format, "JSON Lines, or CSV for spreadsheets")
      ->check(CLI::IsMember({"jsonl", "csv"}))
      ->capture_default_str();
  all->add_option("-o,--to", flags.file, "File to write, or - for standard output")
      ->capture_default_str();
}

void DeclareTop(CLI::App& app, LogFlags& flags) {
  CLI::App* top = app.add_subcommand("top", "Who came most, who was denied most");
  top->add_option("BY", flags.top_by, "clients, peers, workloads or denied")
      ->required()
      ->check(CLI::IsMember({"clients", "peers", "workloads", "denied"}));
  top->add_option("--since", flags.top_since, "The last 90s, 10m, 2h, 1d")->capture_default_str();
  top->add_option("--limit", flags.top_limit, "So many rows")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  top->add_option("--deadline", flags.deadline, "Give up after this long (default: 1m)");
  top->add_option("-o,--output", flags.output, "How to print")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

// Each of the next returns what is wrong; empty: nothing.

template <typename Seconds>
std::string ReadDeadline(const LogFlags& flags, Seconds* deadline) {
  if (flags.deadline.empty()) return "";
  std::optional<std::chrono::seconds> span = control::ParseDuration(flags.deadline);
  if (!span) return "--deadline \"" + flags.deadline + "\": give a duration such as 30s";
  *deadline = *span;
  return "";
}

std::string ReadSpan(const char* flag, const std::string& text, std::optional<int64_t>* span_us) {
  if (text.empty()) return "";
  std::optional<std::chrono::seconds> span = control::ParseDuration(text);
  if (!span) return std::string(flag) + " \"" + text + "\": give a duration such as 10m";
  *span_us = std::chrono::microseconds(*span).count();
  return "";
}

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

std::string InterpretTail(const LogFlags& flags, LogsOptions* logs) {
  if (flags.follow && flags.before > 0) return "--before: pages go back in time; not with -f";
  if (flags.follow && !flags.until.empty()) return "--until: what follows is newer; not with -f";
  std::string error = ReadSelection(flags, &logs->selection);
  if (error.empty()) error = ReadDeadline(flags, &logs->deadline);
  v1::LogQuery& query = logs->selection.query;
  // To the server 0 is no limit for a follower: without --limit it prints until it is interrupted.
  if (flags.limit == 0 && !flags.follow) query.set_limit(kDefaultLimit);
  query.set_follow(flags.follow);
  query.set_before_id(flags.before);
  logs->output = flags.output == "json" ? Output::kJson : Output::kTable;
  return error;
}

std::string InterpretExport(const LogFlags& flags, ExportOptions* all) {
  if (flags.follow || flags.before > 0) return "logs export: writes all; not with -f or --before";
  if (flags.file.empty()) return "-o \"\": give a file, or - for standard output";
  std::string error = ReadSelection(flags, &all->selection);
  if (error.empty()) error = ReadDeadline(flags, &all->deadline);
  all->selection.query.set_oldest_first(true);
  all->csv = flags.format == "csv";
  all->file = flags.file;
  return error;
}

std::string InterpretTop(const LogFlags& flags, TopOptions* top) {
  top->query.set_by(flags.top_by == "peers"       ? v1::TopQuery::PEERS
                    : flags.top_by == "workloads" ? v1::TopQuery::WORKLOADS
                    : flags.top_by == "denied"    ? v1::TopQuery::DENIED
                                                  : v1::TopQuery::CLIENTS);
  top->query.set_limit(flags.top_limit);
  std::optional<int64_t> span;
  std::string error = ReadSpan("--since", flags.top_since, &span);
  if (error.empty()) error = ReadDeadline(flags, &top->deadline);
  top->since_span_us = span.value_or(0);
  top->output = flags.output == "json" ? Output::kJson : Output::kTable;
  return error;
}

template <typename T>
std::string Into(Command* command, std::string (*interpret)(const LogFlags&, T*),
                 const LogFlags& flags) {
  T options;
  std::string error = interpret(flags, &options);
  *command = std::move(options);
  return error;
}

}  // namespace

void DeclareLogs(CLI::App& app, LogFlags& flags) {
  CLI::App* logs = app.add_subcommand("logs", "Access records, the newest last");
  DeclareFilters(logs, flags);
  logs->add_option("--limit", flags.limit,
                   "At most so many (default: 100; with -f and for an export: no end)")
      ->check(CLI::Range(1, 1'000'000));
  logs->add_option("--before", flags.before,
                   "The page before: older than the record of this number")
      ->check(WholeNumberFrom<int64_t>(1))
      ->type_name("NUMBER");
  logs->add_flag("-f,--follow", flags.follow, "Keep printing new ones as they come");
  logs->add_option("--deadline", flags.deadline,
                   "Give up after this long (default: 30s; -f and an export have no end)");
  logs->add_option("-o,--output", flags.output, "How to print")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  DeclareExport(logs, flags);
  DeclareTop(app, flags);
}

std::string InterpretLogs(const CLI::App& app, const LogFlags& flags, Command* command) {
  if (app.got_subcommand("top")) return Into(command, InterpretTop, flags);
  const bool all = app.get_subcommand("logs")->got_subcommand("export");
  return all ? Into(command, InterpretExport, flags) : Into(command, InterpretTail, flags);
}

std::string CheckWorkload(const std::string& workload) {
  const size_t slash = workload.find('/');
  const bool named = slash != std::string::npos && slash != 0 && slash + 1 != workload.size();
  return workload.empty() || named ? "" : "--workload \"" + workload + "\": give NAMESPACE/NAME";
}

}  // namespace whence::ctl
