#include <string>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {

int Refusals(const RefusalsOptions& options, Session& session) {
  v1::ListRefusalsResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status = v1::SecurityService::NewStub(session.channel)
                            ->ListRefusals(&context, v1::ListRefusalsRequest(), &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return kGood;
  }
  if (response.refusals().empty()) {
    session.err << "whencectl: nothing was refused since the control plane started\n";
    return kGood;
  }
  Table table({"LAST", "TIMES", "PEER", "ADDRESS", "METHOD", "REASON"});
  for (const v1::RefusedCall& call : response.refusals()) {
    table.Add({TimeText(call.last_us()), std::to_string(call.count()), call.peer(), call.address(),
               call.method(), call.reason()});
  }
  table.Print(session.out);
  return kGood;
}

}  // namespace whence::ctl
