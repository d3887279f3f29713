// The command line of whencectl -> what to do.
#ifndef WHENCE_CONTROLPLANE_CTL_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/ctl/certs_options.h"
#include "controlplane/ctl/inject_command.h"
#include "controlplane/ctl/log_selection.h"
#include "controlplane/ctl/session.h"
#include "controlplane/ctl/store_command.h"
#include "whence/v1/admin.pb.h"

namespace whence::ctl {

struct ApplyOptions {
  std::vector<std::string> files;
  bool dry_run = false;
  bool ignore_unsupported = false;
  bool strict = false;
  std::string default_namespace;
  std::string message;
  std::optional<uint64_t> if_revision;
  Output output = Output::kTable;
};

struct IpSetLoadOptions {
  std::string name, file, namespace_name, message;
  bool dry_run = false;
  Output output = Output::kTable;
};

struct GetOptions {
  v1::GetRequest request;
  bool for_export = false;  // without resourceVersion
  Output output = Output::kTable;
};

struct DeleteOptions {
  v1::DeleteRequest request;
  Output output = Output::kTable;
};

struct AgentsOptions {
  Output output = Output::kTable;
};

struct LogsOptions {
  LogSelection selection;
  std::chrono::seconds deadline{30};
  Output output = Output::kTable;
};

struct ExportOptions {
  LogSelection selection;
  bool csv = false;  // else JSON Lines
  std::string file;  // "-": standard output
  std::optional<std::chrono::seconds> deadline;
};

struct TopOptions {
  v1::TopQuery query;  // since_us is filled when the command runs
  int64_t since_span_us = 0;
  std::chrono::seconds deadline{60};
  Output output = Output::kTable;
};

struct ExplainOptions {
  v1::ExplainRequest request;
  Output output = Output::kTable;
};

struct ExplainRecordOptions {
  v1::ExplainRecordRequest request;
  Output output = Output::kTable;
};

struct ForecastOptions {
  std::vector<std::string> files;
  v1::ForecastRequest request;  // without the files; since_us is filled when the command runs
  int64_t since_span_us = 0;
  std::string since;  // as written
  Output output = Output::kTable;
};

struct DoctorOptions {
  int64_t since_span_us = 0;
  Output output = Output::kTable;
};

struct HistoryOptions {
  v1::HistoryRequest request;
  Output output = Output::kTable;
};

struct DiffOptions {
  std::vector<std::string> files;
  v1::DiffRequest request;  // without the files
  Output output = Output::kTable;
};

struct RollbackOptions {
  v1::RollbackRequest request;
  Output output = Output::kTable;
};

struct RefusalsOptions {
  Output output = Output::kTable;
};

using Command =
    std::variant<ApplyOptions, IpSetLoadOptions, GetOptions, DeleteOptions, AgentsOptions,
                 LogsOptions, ExportOptions, TopOptions, ExplainOptions, HistoryOptions,
                 DiffOptions, RollbackOptions, InjectOptions, RefusalsOptions, CertsInitOptions,
                 CertsIssueOptions, ExplainRecordOptions, ForecastOptions, DoctorOptions,
                 StoreCopyOptions>;

struct Options {
  ConnectionOptions connection;
  Command command;
};

// Options to run, or something to print and an exit code (0 after --help and --version, 2 for wrong
// usage).
struct CommandLine {
  std::optional<Options> options;
  int exit_code = 0;
  std::string out;
  std::string error;  // one line
};

CommandLine ParseCommandLine(int argc, const char* const* argv);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_OPTIONS_H_
