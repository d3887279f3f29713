// What whencectl does: one function per command, each from options and a session to an exit code.
#ifndef WHENCE_CONTROLPLANE_CTL_COMMANDS_H_
#define WHENCE_CONTROLPLANE_CTL_COMMANDS_H_

#include <istream>

#include "controlplane/ctl/options.h"
#include "controlplane/ctl/session.h"

namespace whence::ctl {

// `input` is what "-" reads.
int Apply(const ApplyOptions& options, Session& session, std::istream& input);
// Replaces the content of an IpSet by a list, or makes the set.
int LoadIpSet(const IpSetLoadOptions& options, Session& session, std::istream& input);
int Delete(const DeleteOptions& options, Session& session);
// Exit codes as of diff(1): 0 no difference, 1 there is one, 2 failed.
int Diff(const DiffOptions& options, Session& session, std::istream& input);
int History(const HistoryOptions& options, Session& session);
int Rollback(const RollbackOptions& options, Session& session);
int Get(const GetOptions& options, Session& session);
int Agents(const AgentsOptions& options, Session& session);
// Ends, with -f, only when the connection does or the process is interrupted.
int Logs(const LogsOptions& options, Session& session);
// All records that there are, oldest first, into a file. The file is whole or not there.
int Export(const ExportOptions& options, Session& session);
int Top(const TopOptions& options, Session& session);
int Refusals(const RefusalsOptions& options, Session& session);
int Explain(const ExplainOptions& options, Session& session);
int ExplainRecord(const ExplainRecordOptions& options, Session& session);
int Forecast(const ForecastOptions& options, Session& session, std::istream& input);
// Exit codes: 0 healthy, 1 there are findings, 2 failed.
int Doctor(const DoctorOptions& options, Session& session);

// What explain prints for people.
void PrintExplanation(const v1::ExplainResponse& response, std::ostream& out);

// These need no control plane.
int CertsInit(const CertsInitOptions& options, std::ostream& out, std::ostream& err);
int CertsIssue(const CertsIssueOptions& options, std::ostream& out, std::ostream& err);

// Connects and runs the command.
int Run(const Options& options, std::istream& input, std::ostream& out, std::ostream& err);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_COMMANDS_H_
