#include "controlplane/ctl/log_options.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "common/base/command_line.h"
#include "controlplane/ctl/log_selection.h"
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
  // An empty filter would be none, and show everything: more likely a variable of a script is empty.
  for (CLI::Option* option : logs->get_options()) {
    if (option == logs->get_help_ptr()) continue;
    option->check([](const std::string& value) {
      return value.empty() ? "\"\": give a value, or leave the flag out" : std::string();
    });
  }
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

std::string InterpretTail(const LogFlags& flags, LogsOptions* logs) {
  if (flags.follow && !flags.deadline.empty()) {
    return "--deadline: what follows has no end; not with -f";
  }
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

}  // namespace whence::ctl
