#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/base/utf8.h"
#include "common/document/document.h"
#include "common/document/ip_set_file.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ip_set_upload.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/source_files.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// For the history; a server that knows us by certificate uses that instead.
std::string Author() {
  const char* user = std::getenv("USER");
  if (const passwd* account = user ? nullptr : getpwuid(geteuid())) user = account->pw_name;
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return ValidUtf8(std::string(user && *user ? user : "unknown") + "@" + host);
}

void PrintChanges(const v1::ApplyResponse& response, bool dry_run, std::ostream& out) {
  for (const v1::Change& change : response.changes()) {
    out << Escape(ChangeText(change)) << (dry_run ? " (dry run)" : "") << "\n";
  }
  if (response.revision() != 0) {
    out << "revision " << response.revision() << "\n";
  } else if (!dry_run) {
    out << "nothing to change\n";
  }
}

int PrintFaults(const v1::ApplyResponse& response, Output output, Session& session) {
  if (output == Output::kJson) session.out << ToJson(response);
  for (const v1::Fault& fault : response.faults()) session.err << FaultLine(fault);
  int count = response.faults_size();
  session.err << "whencectl: nothing was changed: " << count << (count == 1 ? " fault" : " faults")
              << "\n";
  return kFailed;
}

int PrintResponse(const v1::ApplyResponse& response, Output output, bool dry_run,
                  Session& session) {
  for (const v1::Fault& warning : response.warnings())
    session.err << "warning: " << FaultLine(warning);
  if (!response.faults().empty()) return PrintFaults(response, output, session);
  if (output == Output::kJson) {
    session.out << ToJson(response);
  } else {
    PrintChanges(response, dry_run, session.out);
  }
  return kGood;
}

v1::ApplyRequest ToRequest(const ApplyOptions& options, const SourceFiles& sources) {
  v1::ApplyRequest request;
  for (const v1::SourceFile& file : sources.files()) *request.add_files() = file;
  request.set_dry_run(options.dry_run);
  request.set_ignore_unsupported(options.ignore_unsupported);
  request.set_strict(options.strict);
  request.set_default_namespace(options.default_namespace);
  request.set_author(Author());
  request.set_message(ValidUtf8(options.message));
  if (options.if_revision) request.set_if_revision(*options.if_revision);
  return request;
}

}  // namespace

int Apply(const ApplyOptions& options, Session& session, std::istream& input) {
  document::ParseOptions parse;
  parse.ignore_unsupported = options.ignore_unsupported;
  if (!options.default_namespace.empty()) parse.default_namespace = options.default_namespace;
  SourceFiles sources(parse);
  for (const std::string& file : options.files) {
    if (absl::Status status = sources.Add(file, input); !status.ok()) {
      session.err << "whencectl: " << Escape(std::string(status.message())) << "\n";
      return kFailed;
    }
  }
  // With faults on this side nothing may change, but those of the server are asked for all the
  // same: one run should show everything there is to mend.
  const bool has_faults =
      !sources.faults().empty() || (options.strict && !sources.warnings().empty());
  v1::ApplyRequest request = ToRequest(options, sources);
  if (has_faults) request.set_dry_run(true);
  v1::ApplyResponse response;
  grpc::Status status = SendApply(session, &request, sources.contents(), &response);
  if (!status.ok()) {
    for (const v1::Fault& fault : sources.faults()) session.err << FaultLine(fault);
    return PrintFailure(session, status);
  }
  if (has_faults) response.clear_changes();  // there will be none
  for (v1::Fault& fault : *response.mutable_faults()) sources.Translate(&fault);
  for (const v1::Fault& fault : sources.faults()) *response.add_faults() = fault;
  for (v1::Fault& warning : *response.mutable_warnings()) sources.Translate(&warning);
  for (const v1::Fault& warning : sources.warnings()) {
    *(options.strict ? response.add_faults() : response.add_warnings()) = warning;
  }
  return PrintResponse(response, options.output, options.dry_run, session);
}

int LoadIpSet(const IpSetLoadOptions& options, Session& session, std::istream& input) {
  absl::StatusOr<std::string> text = ReadText(options.file, input);
  if (!text.ok()) {
    session.err << "whencectl: " << Escape(std::string(text.status().message())) << "\n";
    return kFailed;
  }
  document::IpSetList list = document::ReadIpSetList(*text);
  v1::ApplyResponse local;
  const auto add = [&](const document::ListRemark& remark, v1::Fault* out) {
    out->set_file(ValidUtf8(options.file));
    out->set_line(remark.line);
    out->set_column(1);
    out->set_message(remark.message);
  };
  for (const document::ListRemark& fault : list.faults) add(fault, local.add_faults());
  for (const document::ListRemark& warning : list.warnings) add(warning, local.add_warnings());
  // A download that failed must not open what the set keeps closed.
  if (list.faults.empty() && list.content.empty()) {
    local.add_faults()->set_message("no CIDR in " + ValidUtf8(options.file) +
                                    "; to empty a set, apply a document that says so");
  }
  if (!local.faults().empty()) {
    return PrintResponse(local, options.output, options.dry_run, session);
  }
  v1::Document document;
  document.set_api_version("whence.dev/v1");
  document.set_kind("IpSet");
  document.mutable_ip_set();
  const std::string space = options.namespace_name.empty() ? "default" : options.namespace_name;
  document.mutable_metadata()->set_namespace_(space);
  document.mutable_metadata()->set_name(options.name);
  absl::StatusOr<std::optional<v1::IpSetDescription>> known =
      DescribeIpSet(session, space, options.name);
  if (!known.ok()) {
    return PrintFailure(session, grpc::Status(static_cast<grpc::StatusCode>(known.status().code()),
                                              std::string(known.status().message())));
  }
  // Only the content is replaced.
  if (*known) *document.mutable_metadata() = (*known)->metadata();
  v1::ApplyRequest request;
  v1::SourceFile* file = request.add_files();
  file->set_name(ValidUtf8(options.file));
  file->set_content(document::ToJson(document));
  request.set_dry_run(options.dry_run);
  request.set_author(Author());
  request.set_message(ValidUtf8(options.message));
  v1::ApplyResponse response;
  const size_t size = list.content.size();
  grpc::Status status =
      SendApply(session, &request, {{space, options.name, std::move(list.content)}}, &response);
  if (!status.ok()) return PrintFailure(session, status);
  response.mutable_warnings()->MergeFrom(local.warnings());
  if (response.faults().empty() && options.output == Output::kTable) {
    session.out << size << (size == 1 ? " CIDR" : " CIDRs") << "\n";
  }
  return PrintResponse(response, options.output, options.dry_run, session);
}

int Delete(const DeleteOptions& options, Session& session) {
  v1::DeleteRequest request = options.request;
  request.set_author(Author());
  v1::ApplyResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->Delete(&context, request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  return PrintResponse(response, options.output, false, session);
}

int Rollback(const RollbackOptions& options, Session& session) {
  v1::RollbackRequest request = options.request;
  request.set_author(Author());
  request.set_message(ValidUtf8(request.message()));
  v1::ApplyResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kWriteDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->Rollback(&context, request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  return PrintResponse(response, options.output, request.dry_run(), session);
}

}  // namespace whence::ctl
