#include "controlplane/ctl/insight_options.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <utility>

#include "common/base/command_line.h"
#include "controlplane/units.h"

namespace whence::ctl {
namespace {

constexpr char kExplainHelp[] = R"(Examples:
  whencectl explain --workload istio-system/gateway --peer 10.0.0.9 --xff "1.1.1.1, 2.2.2.2"
  whencectl explain --from-log 7f3c…            # a request id, or a record's id: logs -o json has both
  whencectl explain --from-log 4711 --revision 12
  whencectl explain --diff policies/ --since 1d  # what a change would mean for recorded traffic)";

constexpr char kDoctorHelp[] = R"(Examples:
  whencectl doctor
  whencectl doctor --since 1h -o json

Exit codes: 0 healthy, 1 there are findings, 2 it cannot be told.)";

std::string ReadSpan(const std::string& text, int64_t* span_us) {
  const std::optional<std::chrono::seconds> span = control::ParseDuration(text);
  if (!span) return "--since \"" + text + "\": give a duration such as 10m";
  *span_us = std::chrono::microseconds(*span).count();
  return "";
}

}  // namespace

void DeclareRecordedExplain(CLI::App* explain, InsightFlags& flags) {
  auto* record = explain->add_option("--from-log", flags.from_log,
                                     "A recorded access again: its request id or record id");
  explain
      ->add_option("--revision", flags.revision,
                   "By this revision of the configuration (default: the current one)")
      ->check(WholeNumberFrom<uint64_t>(0))
      ->type_name("NUMBER");
  explain
      ->add_option("--diff", flags.diff,
                   "What this file, directory or - would change for recorded traffic")
      ->excludes(record);
  explain->add_option("--since", flags.since, "With --diff: the last 90s, 10m, 2h, 1d")
      ->capture_default_str();
  explain->add_flag("--ignore-unsupported", flags.ignore_unsupported,
                    "With --diff: warn of Istio fields that Whence does not act on");
  explain->footer(kExplainHelp);
}

void DeclareDoctor(CLI::App& app, InsightFlags& flags) {
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Where the client's address is lost, why, and what would mend it");
  doctor->add_option("--since", flags.doctor_since, "Look at records of the last 90s, 10m, 2h, 1d")
      ->capture_default_str();
  doctor->add_option("-o,--output", flags.doctor_output, "How to print")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  doctor->footer(kDoctorHelp);
}

bool AsksAboutRecords(const InsightFlags& flags) {
  return !flags.from_log.empty() || !flags.diff.empty();
}

std::string InterpretRecordedExplain(const InsightFlags& flags,
                                     const std::string& default_namespace, Output output,
                                     Command* command) {
  if (!flags.from_log.empty()) {
    ExplainRecordOptions record{.request = {}, .output = output};
    record.request.set_id(flags.from_log);
    if (flags.revision) record.request.set_revision(*flags.revision);
    *command = std::move(record);
    return "";
  }
  if (flags.revision) return "--revision is for one access: --diff compares with the current one";
  ForecastOptions forecast{.files = flags.diff, .request = {}, .output = output};
  forecast.request.set_ignore_unsupported(flags.ignore_unsupported);
  forecast.request.set_default_namespace(default_namespace);
  std::string error = ReadSpan(flags.since, &forecast.since_span_us);
  forecast.since = flags.since;
  *command = std::move(forecast);
  return error;
}

std::string InterpretDoctor(const InsightFlags& flags, Command* command) {
  DoctorOptions doctor;
  doctor.output = flags.doctor_output == "json" ? Output::kJson : Output::kTable;
  std::string error = ReadSpan(flags.doctor_since, &doctor.since_span_us);
  *command = doctor;
  return error;
}

}  // namespace whence::ctl
