#include "controlplane/ctl/source_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"
#include "common/document/ip_set.h"
#include "common/document/kinds.h"

namespace whence::ctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargeFile = 256 << 10;

std::optional<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return std::nullopt;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file) return std::nullopt;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  return std::move(text).str();
}

bool IsDocumentFile(const fs::directory_entry& entry) {
  std::error_code error;
  std::string extension = entry.path().extension().string();
  return entry.is_regular_file(error) &&
         (extension == ".yaml" || extension == ".yml" || extension == ".json");
}

// Whether nothing but blank lines, comments and "---" is in it: an empty pipe or a mistaken file is
// no success.
bool IsEmpty(std::string_view content) {
  while (!content.empty()) {
    const size_t line_end = std::min(content.find('\n'), content.size());
    std::string_view line = content.substr(0, line_end);
    content.remove_prefix(std::min(line_end + 1, content.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.find_last_not_of(" \t\r") != 2 || line.substr(0, 3) != "---") return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::string> ReadText(const std::string& path, std::istream& input) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(input), {});
  std::optional<std::string> content = ReadFile(path);
  if (content) return *std::move(content);
  return absl::NotFoundError(absl::StrCat(
      path, ": cannot be read: ", errno != 0 ? std::strerror(errno) : "it is no file"));
}

absl::Status SourceFiles::Add(const std::string& path, std::istream& input) {
  if (path == "-") {
    std::string content(std::istreambuf_iterator<char>(input), {});
    if (IsEmpty(content)) return absl::NotFoundError("no documents in -, the standard input");
    AddContent("-", ".", std::move(content));
    return absl::OkStatus();
  }
  std::error_code error;
  if (!fs::is_directory(path, error)) return AddFile(path, /*may_be_empty=*/false);
  std::vector<std::string> found;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (IsDocumentFile(*entry)) found.push_back(entry->path().string());
  }
  if (error) return absl::UnavailableError(absl::StrCat(path, ": ", error.message()));
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat(path, ": no .yaml, .yml or .json file in it"));
  }
  std::sort(found.begin(), found.end());
  for (const std::string& file : found) {
    if (absl::Status status = AddFile(file, /*may_be_empty=*/true); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SourceFiles::AddFile(const std::string& path, bool may_be_empty) {
  std::optional<std::string> content = ReadFile(path);
  if (!content) {
    return absl::NotFoundError(absl::StrCat(
        path, ": cannot be read: ", errno != 0 ? std::strerror(errno) : "it is no file"));
  }
  if (!may_be_empty && IsEmpty(*content)) {
    return absl::NotFoundError(absl::StrCat("no documents in ", path));
  }
  AddContent(path, fs::path(path).parent_path().string(), std::move(*content));
  return absl::OkStatus();
}

void SourceFiles::AddContent(const std::string& path, const std::string& directory,
                             std::string content) {
  const std::string name = ValidUtf8(path);  // goes into messages
  const bool is_large = content.size() > kLargeFile;
  bool is_parsed = is_large || content.find("file") != std::string::npos;
  bool reads_lists = false;
  document::ParseOptions options = options_;
  options.read_file = [&](const std::string& list) {
    reads_lists = true;
    return ReadFile((fs::path(directory) / list).string());  // an absolute path stays
  };
  document::ParseResult parsed;
  if (is_parsed) parsed = document::Parse(name, content, options);
  // A file with faults, and without lists that only we can read, is the server's to judge.
  if (!reads_lists && !(is_large && parsed.faults.empty())) {
    v1::SourceFile& file = files_.emplace_back();
    file.set_name(name);
    file.set_content(std::move(content));
    return;
  }
  faults_.insert(faults_.end(), parsed.faults.begin(), parsed.faults.end());
  warnings_.insert(warnings_.end(), parsed.warnings.begin(), parsed.warnings.end());
  if (!parsed.faults.empty()) {
    // What the server is asked with: sets whose list is not to be had are there, only empty, so
    // that the documents that name them have no faults of their own for it.
    options.read_file = [](const std::string&) { return std::string(); };
    parsed = document::Parse(name, content, options);
  }
  for (document::ParsedDocument& document : parsed.documents) {
    v1::SourceFile& file = files_.emplace_back();
    file.set_name(name);
    const v1::ObjectMeta& metadata = document.document.metadata();
    if (document.document.has_ip_set() && document.document.ip_set().has_packed()) {
      v1::IpSetSpec* set = document.document.mutable_ip_set();
      contents_.push_back({metadata.namespace_(), metadata.name(), document::ContentOf(*set)});
      set->clear_packed();
    }
    file.set_content(document::ToJson(document.document));
    places_[{name, document::DisplayName(document.document)}] = std::move(document.locations);
  }
}

void SourceFiles::Translate(v1::Fault* fault) const {
  auto places = places_.find({fault->file(), fault->document()});
  if (places == places_.end()) return;
  document::Location place = places->second.Find(fault->path());
  fault->set_line(place.line);
  fault->set_column(place.column);
}

}  // namespace whence::ctl
