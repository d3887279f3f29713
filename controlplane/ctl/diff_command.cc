#include <algorithm>
#include <string>
#include <string_view>

#include "common/document/document.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ip_set_upload.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/source_files.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// As of diff(1): that there is a difference is an answer, and a failure must not look like one.
constexpr int kDiffers = 1;
constexpr int kTrouble = 2;

void PrintLines(std::string_view text, std::ostream& out) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out << Escape(text.substr(0, end)) << "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool Differs(const v1::DiffResponse& response) {
  for (const v1::DocumentDiff& document : response.documents()) {
    if (document.change().action() != v1::Change::UNCHANGED) return true;
  }
  return false;
}

void Print(const v1::DiffResponse& response, Output output, Session& session) {
  for (const v1::Fault& warning : response.warnings()) {
    session.err << "warning: " << FaultLine(warning);
  }
  for (const v1::Fault& fault : response.faults()) session.err << FaultLine(fault);
  if (output == Output::kJson) {
    session.out << ToJson(response);
    return;
  }
  for (const v1::DocumentDiff& document : response.documents()) {
    PrintLines(document.diff(), session.out);
  }
}

}  // namespace

int Diff(const DiffOptions& options, Session& session, std::istream& input) {
  document::ParseOptions parse;
  parse.ignore_unsupported = options.request.ignore_unsupported();
  if (!options.request.default_namespace().empty()) {
    parse.default_namespace = options.request.default_namespace();
  }
  SourceFiles sources(parse);
  for (const std::string& file : options.files) {
    if (absl::Status status = sources.Add(file, input); !status.ok()) {
      session.err << "whencectl: " << Escape(std::string(status.message())) << "\n";
      return kTrouble;
    }
  }
  v1::DiffRequest request = options.request;
  for (const v1::SourceFile& file : sources.files()) *request.add_files() = file;
  for (const NamedContent& set : sources.contents()) *request.add_ip_sets() = Upload(set, nullptr);
  v1::DiffResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->Diff(&context, request, &response);
  if (!status.ok()) {
    PrintFailure(session, status);
    return kTrouble;
  }
  for (v1::Fault& fault : *response.mutable_faults()) sources.Translate(&fault);
  for (v1::Fault& warning : *response.mutable_warnings()) sources.Translate(&warning);
  for (const v1::Fault& warning : sources.warnings()) *response.add_warnings() = warning;
  if (!sources.faults().empty()) response.clear_documents();  // some lists are missing in them
  for (const v1::Fault& fault : sources.faults()) *response.add_faults() = fault;
  Print(response, options.output, session);
  if (!response.faults().empty()) return kTrouble;
  return Differs(response) ? kDiffers : kGood;
}

}  // namespace whence::ctl
