#include <memory>
#include <variant>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

int Run(const Options& options, std::istream& input, std::ostream& out, std::ostream& err) {
  if (const auto* inject = std::get_if<InjectOptions>(&options.command)) {
    return RunInject(*inject, input, out, err);
  }
  if (const auto* init = std::get_if<CertsInitOptions>(&options.command)) {
    return CertsInit(*init, out, err);
  }
  if (const auto* issue = std::get_if<CertsIssueOptions>(&options.command)) {
    return CertsIssue(*issue, out, err);
  }
  if (const auto* copy = std::get_if<StoreCopyOptions>(&options.command)) {
    return CopyStore(*copy, out, err);
  }
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(options.connection);
  if (!channel.ok()) {
    err << "whencectl: " << Escape(std::string(channel.status().message())) << "\n";
    return kFailed;
  }
  Session session{options.connection.address,
                  *channel,
                  out,
                  err,
                  !options.connection.ca.empty(),
                  !options.connection.certificate.empty()};
  return std::visit(
      Overloaded{[&](const ApplyOptions& apply) { return Apply(apply, session, input); },
                 [&](const IpSetLoadOptions& load) { return LoadIpSet(load, session, input); },
                 [&](const GetOptions& get) { return Get(get, session); },
                 [&](const DeleteOptions& remove) { return Delete(remove, session); },
                 [&](const AgentsOptions& agents) { return Agents(agents, session); },
                 [&](const RefusalsOptions& refusals) { return Refusals(refusals, session); },
                 [](const CertsInitOptions&) { return kGood; },   // done above
                 [](const StoreCopyOptions&) { return kGood; },   // done above
                 [](const CertsIssueOptions&) { return kGood; },  // done above
                 [&](const LogsOptions& logs) { return Logs(logs, session); },
                 [&](const ExportOptions& all) { return Export(all, session); },
                 [&](const TopOptions& top) { return Top(top, session); },
                 [&](const ExplainOptions& explain) { return Explain(explain, session); },
                 [&](const ExplainRecordOptions& record) { return ExplainRecord(record, session); },
                 [&](const ForecastOptions& diff) { return Forecast(diff, session, input); },
                 [&](const DoctorOptions& doctor) { return Doctor(doctor, session); },
                 [&](const HistoryOptions& history) { return History(history, session); },
                 [&](const DiffOptions& diff) { return Diff(diff, session, input); },
                 [&](const RollbackOptions& rollback) { return Rollback(rollback, session); },
                 [&](const InjectOptions&) {
                   return kFailed; /* needs no session: above */
                 }},
      options.command);
}

}  // namespace whence::ctl
