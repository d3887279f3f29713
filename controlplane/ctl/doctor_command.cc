#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

constexpr int kFindings = 1;
constexpr int kTrouble = 2;

const char* SeverityName(v1::Finding::Severity severity) {
  switch (severity) {
    case v1::Finding::ERROR:
      return "error";
    case v1::Finding::WARNING:
      return "warning";
    default:
      return "notice";
  }
}

// Each line escaped by itself and moved in.
void PrintIndented(std::string_view text, std::ostream& out) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out << "      " << Escape(text.substr(0, end)) << "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void PrintFinding(const v1::Finding& finding, std::ostream& out) {
  out << "\n"
      << SeverityName(finding.severity()) << ": " << Escape(finding.workload()) << ": "
      << Escape(finding.summary()) << " [" << Escape(finding.rule()) << "]\n";
  out << "  cause: " << Escape(finding.cause()) << "\n";
  for (const std::string& line : finding.evidence()) out << "  seen: " << Escape(line) << "\n";
  if (!finding.records().empty()) {
    out << "  records:";
    for (const int64_t id : finding.records()) out << " " << id;
    out << "   (whencectl explain --from-log ID)\n";
  }
  out << "  mend: " << Escape(finding.remedy()) << "\n";
  for (const std::string& command : finding.commands()) PrintIndented(command, out);
  if (!finding.document().empty()) {
    out << "    document:\n";
    PrintIndented(finding.document(), out);
  }
}

}  // namespace

int Doctor(const DoctorOptions& options, Session& session) {
  v1::ExamineRequest request;
  request.set_since_us(NowMicroseconds() - options.since_span_us);
  v1::ExamineResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status =
      v1::InsightService::NewStub(session.channel)->Examine(&context, request, &response);
  if (!status.ok()) {
    PrintFailure(session, status);
    return kTrouble;
  }
  const int code = response.findings().empty() ? kGood : kFindings;
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return code;
  }
  session.out << "looked at " << response.agents()
              << (response.agents() == 1 ? " agent, " : " agents, ") << response.records()
              << (response.truncated() ? " newest" : "")
              << (response.records() == 1 ? " record" : " records") << " and revision "
              << response.revision() << ": ";
  const int count = response.findings_size();
  if (count == 0) {
    session.out << "nothing is wrong (" << response.checked_size() << " checks)\n";
  } else {
    session.out << count << (count == 1 ? " finding\n" : " findings\n");
  }
  for (const v1::Finding& finding : response.findings()) PrintFinding(finding, session.out);
  return code;
}

}  // namespace whence::ctl
