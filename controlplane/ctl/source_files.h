// What `apply -f` reads, and how faults find their way back to it.
#ifndef WHENCE_CONTROLPLANE_CTL_SOURCE_FILES_H_
#define WHENCE_CONTROLPLANE_CTL_SOURCE_FILES_H_

#include <istream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/document/document.h"
#include "common/net/packed_cidrs.h"
#include "whence/v1/admin.pb.h"

namespace whence::ctl {

// A file, or "-": `input`. The error says what of.
absl::StatusOr<std::string> ReadText(const std::string& path, std::istream& input);

// The content of a large IpSet, which is not sent as text.
struct NamedContent {
  std::string namespace_name, name;
  net::PackedCidrs content;
};

// A small file without `spec.file` is sent as it is, so that the server's faults have its lines. One with
// it cannot be: the list is on this side. Its documents are parsed here, with the lists inlined,
// and sent as JSON; so are those of a file that is large, for large sets are not sent as text. The places of its fields are kept to translate the server's faults back.
//
// Thread-compatible.
class SourceFiles {
 public:
  explicit SourceFiles(document::ParseOptions options) : options_(std::move(options)) {}

  // A file, a directory (its *.yaml, *.yml and *.json, by name, not below it) or "-" (`input`).
  absl::Status Add(const std::string& path, std::istream& input);

  const std::vector<v1::SourceFile>& files() const { return files_; }
  // Of IpSets that stand in files() empty.
  const std::vector<NamedContent>& contents() const { return contents_; }
  // Faults in the files that had to be parsed here. If there are any, files() are good for a dry
  // run only: lists that cannot be read are empty in them.
  const std::vector<v1::Fault>& faults() const { return faults_; }
  const std::vector<v1::Fault>& warnings() const { return warnings_; }

  // Replaces the place in what was sent by the place in what was written.
  void Translate(v1::Fault* fault) const;

 private:
  absl::Status AddFile(const std::string& path, bool may_be_empty);
  void AddContent(const std::string& path, const std::string& directory, std::string content);

  const document::ParseOptions options_;
  std::vector<v1::SourceFile> files_;
  std::vector<NamedContent> contents_;
  std::vector<v1::Fault> faults_, warnings_;
  // Of the files that were rewritten: (file, document's display name) -> places.
  std::map<std::pair<std::string, std::string>, document::Locations> places_;
};

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_SOURCE_FILES_H_
