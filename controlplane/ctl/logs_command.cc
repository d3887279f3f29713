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

// Prints the headings before the first row: a failed call has none.
class RowPrinter {
 public:
  RowPrinter(Output output, std::ostream& out) : output_(output), out_(out) {}

  void Print(const v1::LogRow& row) {
    if (output_ == Output::kJson) {
      out_ << LogJson(row);
      return;
    }
    if (!std::exchange(has_headings_, true)) out_ << FixedRow(LogHeadings(), LogWidths());
    PrintCells(LogCells(row));
  }

 private:
  void PrintCells(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = cell.empty() ? "-" : Shorten(Escape(cell), kMaxCell);
    out_ << FixedRow(cells, LogWidths());
  }

  const Output output_;
  std::ostream& out_;
  bool has_headings_ = false;
};

}  // namespace

int Logs(const LogsOptions& options, Session& session) {
  v1::LogQuery query = QueryOf(options.selection);
  grpc::ClientContext context;
  if (!query.follow()) SetDeadline(context, options.deadline);
  auto stub = v1::LogService::NewStub(session.channel);
  auto reader = stub->Query(&context, query);
  RowPrinter printer(options.output, session.out);
  v1::LogRow row;
  std::vector<v1::LogRow> rows;
  while (reader->Read(&row)) {
    if (!query.follow()) {
      rows.push_back(std::move(row));  // newest first: printed when all are there
      continue;
    }
    printer.Print(row);
    session.out.flush();
  }
  for (auto next = rows.rbegin(); next != rows.rend(); ++next) {
    printer.Print(*next);
  }
  grpc::Status status = reader->Finish();
  if (!status.ok()) return PrintFailure(session, status);
  if (!query.follow() && rows.size() == query.limit() && options.output == Output::kTable) {
    session.err << "there may be more: whencectl logs --before " << rows.back().id() << "\n";
  }
  return kGood;
}

}  // namespace whence::ctl
