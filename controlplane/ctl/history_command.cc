#include <string>

#include "controlplane/ctl/cells.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {

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
  Table table(HistoryHeadings());
  for (const v1::RevisionInfo& revision : response.revisions()) table.Add(HistoryCells(revision));
  table.Print(session.out);
  return kGood;
}

}  // namespace whence::ctl
