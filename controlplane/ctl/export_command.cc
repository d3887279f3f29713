#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/csv.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/progress.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// Where an export goes. A file appears under its name when it is whole; until then it is FILE.part.
class Target {
 public:
  Target(const std::string& file, std::ostream& standard)
      : file_(file == "-" ? "" : file), standard_(standard) {
    if (!file_.empty()) part_.open(PartName(), std::ios::binary | std::ios::trunc);
  }
  ~Target() {
    if (!file_.empty() && !kept_) std::remove(PartName().c_str());
  }

  std::ostream& out() { return file_.empty() ? standard_ : part_; }
  bool Keep() {
    out().flush();
    if (!out()) return false;
    if (file_.empty()) return true;
    part_.close();
    kept_ = part_.good() && std::rename(PartName().c_str(), file_.c_str()) == 0;
    return kept_;
  }
  bool is_standard() const { return file_.empty(); }
  std::string name() const { return file_.empty() ? "standard output" : file_; }

 private:
  std::string PartName() const { return file_ + ".part"; }

  const std::string file_;  // empty: standard output
  std::ostream& standard_;
  std::ofstream part_;
  bool kept_ = false;
};

// Of standard output main() says it, as for every command.
int PrintWriteFailure(const Target& target, const Session& session) {
  if (target.is_standard()) return kFailed;
  session.err << "whencectl: cannot write " << Escape(target.name()) << ": " << std::strerror(errno)
              << ": is there space, and may you write there?\n";
  return kFailed;
}

}  // namespace

int Export(const ExportOptions& options, Session& session) {
  Target target(options.file, session.out);
  if (!target.out()) return PrintWriteFailure(target, session);
  v1::LogQuery query = QueryOf(options.selection);
  // A bar where somebody looks, and not into what is exported.
  const bool shown = isatty(STDERR_FILENO) && (options.file != "-" || !isatty(STDOUT_FILENO));
  query.set_progress(true);
  grpc::ClientContext context;
  if (options.deadline) SetDeadline(context, *options.deadline);
  auto reader = v1::LogService::NewStub(session.channel)->Query(&context, query);
  if (options.csv) target.out() << CsvLine(LogColumns());
  uint64_t records = 0;
  grpc::Status status;
  {
    ProgressBar bar(session.err, shown);
    v1::LogRow row;
    while (target.out() && reader->Read(&row)) {
      if (!row.has_record()) {
        bar.Update(row.progress(), records);
        continue;
      }
      ++records;
      target.out() << (options.csv ? CsvLine(LogValues(row)) : LogJson(row));
    }
    if (!target.out()) {
      context.TryCancel();
      (void)reader->Finish();
      return PrintWriteFailure(target, session);
    }
    status = reader->Finish();
  }
  if (!status.ok()) return PrintFailure(session, status);
  if (!target.Keep()) return PrintWriteFailure(target, session);
  session.err << records << " records written to " << Escape(target.name()) << "\n";
  return kGood;
}

}  // namespace whence::ctl
