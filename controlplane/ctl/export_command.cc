#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/csv.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/progress.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// Where an export goes. A file appears under its name when it is whole; until then it is beside it
// under a name of its own. Only its owner may read it, as it is with the records themselves. What is
// there and is no file (a device, a pipe) is written to, and of a link what it points to: neither is
// replaced.
class Target {
 public:
  Target(const std::string& file, std::ostream& standard)
      : name_(file == "-" ? "standard output" : file), standard_(standard) {
    if (file == "-") return;
    is_standard_ = false;
    struct stat info;
    if (stat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
      stream_.open(file, std::ios::binary);
      return;
    }
    file_ = Followed(file);
    if (!file_.empty()) OpenPart();
    if (!stream_.is_open()) stream_.setstate(std::ios::failbit);
  }
  ~Target() {
    if (!part_.empty()) unlink(part_.c_str());
  }

  std::ostream& out() { return is_standard_ ? standard_ : stream_; }
  bool Keep() {
    out().flush();
    if (!out()) return false;
    if (is_standard_) return true;
    stream_.close();
    if (!stream_.good()) return false;
    if (part_.empty()) return true;
    if (!IsReplaceable(file_) || std::rename(part_.c_str(), file_.c_str()) != 0) return false;
    part_.clear();
    return true;
  }
  bool is_standard() const { return is_standard_; }
  const std::string& name() const { return name_; }

 private:
  // Empty: it may not be followed. The kernel says that, which knows whose link it is and lets
  // nobody follow a stranger's in a directory like /tmp; so it makes the file, if need be.
  static std::string Followed(const std::string& file) {
    struct stat info;
    if (lstat(file.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return file;
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0) return "";
    close(fd);
    const std::unique_ptr<char, decltype(&std::free)> path(realpath(file.c_str(), nullptr),
                                                           &std::free);
    return path ? path.get() : "";
  }
  static bool IsReplaceable(const std::string& file) {
    struct stat info;
    if (lstat(file.c_str(), &info) != 0) return errno == ENOENT;
    if (S_ISREG(info.st_mode)) return true;
    errno = EEXIST;
    return false;
  }
  void OpenPart() {
    std::string part = file_ + ".part.XXXXXX";
    const int fd = mkostemp(part.data(), O_CLOEXEC);  // new, no link, 0600
    if (fd < 0) return;
    close(fd);
    part_ = std::move(part);
    stream_.open(part_, std::ios::binary);
  }

  const std::string name_;
  std::ostream& standard_;
  bool is_standard_ = true;
  std::string file_;  // to replace
  std::string part_;  // empty: written to directly, or done
  std::ofstream stream_;
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
