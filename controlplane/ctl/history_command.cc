#include <algorithm>
#include <string>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

constexpr int kShownChanges = 2;

std::string ChangesText(const v1::RevisionInfo& revision) {
  std::string text;
  for (int i = 0; i < std::min(revision.changes_size(), kShownChanges); ++i) {
    const v1::Change& change = revision.changes(i);
    text += (text.empty() ? "" : ", ") + ChangeText(change);
  }
  const int more = revision.changes_size() - kShownChanges;
  return more > 0 ? text + ", and " + std::to_string(more) + " more" : text;
}

}  // namespace

int History(const HistoryOptions& options, Session& session) {
  v1::HistoryResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->History(&context, options.request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return kGood;
  }
  if (response.revisions().empty()) {
    session.err << "whencectl: there are no revisions"
                << (response.revision() == 0 ? " yet: nothing was ever applied" : " before that")
                << "\n";
    return kGood;
  }
  Table table({"REVISION", "TIME", "AUTHOR", "MESSAGE", "CHANGES"});
  for (const v1::RevisionInfo& revision : response.revisions()) {
    table.Add({std::to_string(revision.revision()),
               TimeText(revision.time_us()).substr(0, 19) + "Z",
               AuthorText(revision.author(), revision.author_verified()),
               revision.message().empty() ? "-" : revision.message(), ChangesText(revision)});
  }
  table.Print(session.out);
  return kGood;
}

}  // namespace whence::ctl
