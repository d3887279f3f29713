#include <string>
#include <vector>

#include "controlplane/ctl/cells.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

std::string TopJson(v1::TopQuery::By by, const v1::TopRow& row) {
  JsonLine line;
  if (by != v1::TopQuery::WORKLOADS) {
    line.Optional(by == v1::TopQuery::PEERS ? "direct_peer" : "client_address",
                  AddressText(row.address()));
  }
  if (by == v1::TopQuery::WORKLOADS || by == v1::TopQuery::DENIED) {
    line.Text("workload", row.workload());
  }
  if (by == v1::TopQuery::DENIED) line.Optional("policy", row.policy());
  line.Number("accesses", row.accesses());
  line.Number("denied", row.denied());
  line.Number("bytes_in", row.bytes_in());
  line.Number("bytes_out", row.bytes_out());
  line.Text("last", TimeText(row.last_us()));
  return line.Finish();
}

}  // namespace

int Top(const TopOptions& options, Session& session) {
  v1::TopQuery query = options.query;
  query.set_since_us(NowMicroseconds() - options.since_span_us);
  grpc::ClientContext context;
  SetDeadline(context, options.deadline);
  v1::TopResponse response;
  grpc::Status status = v1::LogService::NewStub(session.channel)->Top(&context, query, &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    for (const v1::TopRow& row : response.rows()) session.out << TopJson(query.by(), row);
    return kGood;
  }
  Table table(TopHeadings(query.by()));
  for (const v1::TopRow& row : response.rows()) table.Add(TopCells(query.by(), row));
  table.Print(session.out);
  if (response.others() > 0) session.err << OthersNote(response) << "\n";
  return kGood;
}

}  // namespace whence::ctl
