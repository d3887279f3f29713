#include <string>
#include <utility>
#include <vector>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// A path may be kilobytes; a table is for reading.
constexpr size_t kMaxCell = 60;

std::vector<std::string> ShortCells(const v1::LogRow& row) {
  std::vector<std::string> cells = LogCells(row);
  for (std::string& cell : cells) cell = cell.empty() ? "-" : Shorten(Escape(cell), kMaxCell);
  return cells;
}

// Rows as they come. The headings stand before the first one: a failed call has none.
class Follower {
 public:
  Follower(Output output, std::ostream& out) : output_(output), out_(out) {}

  void Print(const v1::LogRow& row) {
    if (output_ == Output::kJson) {
      out_ << LogJson(row);
    } else {
      if (!std::exchange(has_headings_, true)) out_ << FixedRow(LogHeadings(), LogWidths());
      out_ << FixedRow(ShortCells(row), LogWidths());
    }
    out_.flush();
  }

 private:
  const Output output_;
  std::ostream& out_;
  bool has_headings_ = false;
};

// `rows` newest first; printed newest last.
void PrintAll(const std::vector<v1::LogRow>& rows, Output output, std::ostream& out) {
  if (output == Output::kJson) {
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) out << LogJson(*row);
    return;
  }
  if (rows.empty()) return;
  Table table(LogHeadings());
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) table.AddEscaped(ShortCells(*row));
  table.Print(out);
}

}  // namespace

int Logs(const LogsOptions& options, Session& session) {
  v1::LogQuery query = QueryOf(options.selection);
  grpc::ClientContext context;
  if (!query.follow()) SetDeadline(context, options.deadline);
  auto stub = v1::LogService::NewStub(session.channel);
  auto reader = stub->Query(&context, query);
  Follower follower(options.output, session.out);
  v1::LogRow row;
  std::vector<v1::LogRow> rows;
  while (reader->Read(&row)) {
    if (query.follow()) {
      follower.Print(row);
      if (session.out) continue;
      context.TryCancel();
      (void)reader->Finish();
      return kFailed;  // main() says it
    } else {
      rows.push_back(std::move(row));
    }
  }
  PrintAll(rows, options.output, session.out);
  grpc::Status status = reader->Finish();
  if (!status.ok()) return PrintFailure(session, status);
  if (query.follow() || options.output != Output::kTable) return kGood;
  if (rows.empty()) session.err << "no record fits\n";
  if (rows.size() == query.limit()) {
    session.err << "there may be more: the page before is the same with --before "
                << rows.back().id() << "\n";
  }
  return kGood;
}

}  // namespace whence::ctl
