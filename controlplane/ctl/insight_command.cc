#include <algorithm>
#include <string>

#include "common/document/document.h"
#include "common/explain/recorded.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ip_set_upload.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/source_files.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

using explain::AddressText;

constexpr int kShownGroups = 20;

// "1,204"
std::string Grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

std::string AccessText(const v1::LogRow& row) {
  const v1::AccessRecord& record = row.record();
  if (record.method().empty()) {
    return record.protocol() + " to port " + std::to_string(record.destination_port());
  }
  return record.method() + " " + record.host() + record.path();
}

// `when`: "now", or which revision was asked about.
void PrintRecord(const v1::RecordExplanation& one, const std::string& when, std::ostream& out) {
  const v1::AccessRecord& record = one.record().record();
  out << "Record " << one.record().id() << ", " << TimeText(record.time_us()) << ", "
      << Escape(one.record().agent()) << ": " << Escape(AccessText(one.record())) << "\n"
      << "It says: client " << AddressText(record.client_address()) << " ("
      << Escape(record.client_reason()) << "), " << explain::DecisionText(record.decision());
  if (!record.policy().empty()) out << " by " << Escape(record.policy());
  out << "\n";
  for (const std::string& caveat : one.caveats()) out << "But: " << Escape(caveat) << "\n";
  if (!one.not_judged().empty()) {
    out << "There is no answer to compare: " << Escape(one.not_judged()) << "\n";
  } else if (one.same()) {
    out << "The answer is the same " << when << ".\n";
  } else {
    out << "The answer is another " << when << ":\n";
    for (const std::string& line : one.differences()) out << "  " << Escape(line) << "\n";
  }
  if (!one.now().workload().empty()) {
    out << "\n";
    PrintExplanation(one.now(), out);
  }
}

std::string Outcome(v1::Decision decision) {
  return decision == v1::ALLOW_DECISION ? "allow" : explain::DecisionText(decision);
}

void PrintForecast(const v1::ForecastResponse& response, const std::string& since,
                   std::ostream& out) {
  out << "would deny " << Grouped(response.newly_denied()) << " and newly allow "
      << Grouped(response.newly_allowed()) << " of " << Grouped(response.accesses())
      << " requests and connections recorded in the last " << since;
  if (response.truncated()) {
    out << " (the newest of them, since " << TimeText(response.oldest_us()).substr(0, 19) << "Z)";
  }
  out << "; " << Grouped(response.other_client()) << " would have another client\n";
  if (response.not_judged() > 0) {
    out << "not judged: " << Grouped(response.not_judged())
        << ", which ended early or whose agent is not connected\n";
  }
  for (const std::string& caveat : response.caveats()) out << "but: " << Escape(caveat) << "\n";
  if (response.groups().empty()) return;
  out << "\n";
  Table table({"ACCESSES", "WORKLOAD", "CLIENT", "NOW", "WOULD BE", "POLICY", "EXAMPLE"});
  int shown = 0;
  for (const v1::ForecastGroup& group : response.groups()) {
    if (++shown > kShownGroups) break;
    std::string client = group.client();
    if (group.client_before() != client) client = group.client_before() + " -> " + client;
    table.Add(
        {Grouped(group.accesses()), group.workload(), client, Outcome(group.before()),
         Outcome(group.after()), group.policy().empty() ? "-" : group.policy(),
         "record " + std::to_string(group.example().id()) + ": " + AccessText(group.example())});
  }
  table.Print(out);
  if (response.groups_size() > kShownGroups) {
    out << "and " << response.groups_size() - kShownGroups << " more kinds (-o json)\n";
  }
}

}  // namespace

int ExplainRecord(const ExplainRecordOptions& options, Session& session) {
  v1::ExplainRecordResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status = v1::InsightService::NewStub(session.channel)
                            ->ExplainRecord(&context, options.request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return kGood;
  }
  const std::string when =
      options.request.has_revision() ? "at revision " + std::to_string(response.revision()) : "now";
  const char* separator = "";
  for (const v1::RecordExplanation& record : response.records()) {
    session.out << separator;
    separator = "\n----\n\n";
    PrintRecord(record, when, session.out);
  }
  return kGood;
}

int Forecast(const ForecastOptions& options, Session& session, std::istream& input) {
  document::ParseOptions parse;
  parse.ignore_unsupported = options.request.ignore_unsupported();
  if (!options.request.default_namespace().empty()) {
    parse.default_namespace = options.request.default_namespace();
  }
  SourceFiles sources(parse);
  for (const std::string& file : options.files) {
    if (absl::Status status = sources.Add(file, input); !status.ok()) {
      session.err << "whencectl: " << Escape(std::string(status.message())) << "\n";
      return kFailed;
    }
  }
  v1::ForecastRequest request = options.request;
  request.set_since_us(NowMicroseconds() - options.since_span_us);
  for (const v1::SourceFile& file : sources.files()) *request.add_files() = file;
  for (const NamedContent& set : sources.contents()) *request.add_ip_sets() = Upload(set, nullptr);
  v1::ForecastResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status =
      v1::InsightService::NewStub(session.channel)->Forecast(&context, request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  for (v1::Fault& fault : *response.mutable_faults()) sources.Translate(&fault);
  // With one of these a list is missing, and what was forecast without it is worse than nothing.
  for (const v1::Fault& fault : sources.faults()) *response.add_faults() = fault;
  for (v1::Fault& warning : *response.mutable_warnings()) sources.Translate(&warning);
  for (const v1::Fault& warning : sources.warnings()) *response.add_warnings() = warning;
  for (const v1::Fault& warning : response.warnings()) {
    session.err << "warning: " << FaultLine(warning);
  }
  for (const v1::Fault& fault : response.faults()) session.err << FaultLine(fault);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
  } else if (response.faults().empty()) {
    PrintForecast(response, options.since, session.out);
  }
  return response.faults().empty() ? kGood : kFailed;
}

}  // namespace whence::ctl
