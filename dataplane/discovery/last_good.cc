#include "dataplane/discovery/last_good.h"

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "dataplane/storage/file.h"
#include "whence/v1/resources.pb.h"

namespace whence::discovery {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 20;

// Names come from the network: no slash, no dot-dot and nothing else that means something to a file
// system gets through.
std::string FileNamePart(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    if (plain) {
      out.push_back(c);
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// A delta response is just what we need to remember, so it is the file format too.
std::string Serialize(ReceivedResource resource, const char* type,
                      const std::map<std::string, std::string>& references) {
  Response file;
  auto* entry = file.add_resources();
  entry->set_name(std::move(resource.name));
  entry->set_version(std::move(resource.version));
  entry->mutable_resource()->set_type_url(type);
  entry->mutable_resource()->set_value(std::move(resource.value));
  for (const auto& [name, version] : references) {
    auto* reference = file.add_resources();
    reference->set_name(name);
    reference->set_version(version);
  }
  const std::string bytes = file.SerializeAsString();
  file.Clear();  // of a large set, megabytes
  return storage::Seal(bytes);
}

absl::StatusOr<Response> Read(const std::string& path) {
  absl::StatusOr<std::string> sealed = storage::ReadFile(path, kMaxFileBytes);
  if (!sealed.ok()) return sealed.status();
  absl::StatusOr<std::string> bytes = storage::Unseal(*sealed);
  if (!bytes.ok()) return absl::DataLossError(absl::StrCat(path, ": ", bytes.status().message()));
  Response file;
  if (!file.ParseFromString(*bytes) || file.resources().empty()) {
    return absl::DataLossError(absl::StrCat(path, ": cannot be parsed"));
  }
  return file;
}

ReceivedResource FirstOf(const Response& file) {
  const auto& entry = file.resources(0);
  return {entry.name(), entry.version(), entry.resource().value()};
}

}  // namespace

std::string LastGoodStore::SetPath(const std::string& name, const std::string& version) const {
  return absl::StrCat(directory_, "/set-", FileNamePart(name), "@", FileNamePart(version));
}

absl::Status LastGoodStore::SaveIpSet(ReceivedResource set) {
  if (absl::Status status = storage::MakeDirectory(directory_); !status.ok()) return status;
  const std::string path = SetPath(set.name, set.version);
  return storage::WriteFileAtomically(path, Serialize(std::move(set), kIpSetType, {}));
}

absl::Status LastGoodStore::SaveBundle(
    const ReceivedResource& bundle, const std::map<std::string, std::string>& ip_sets,
    const std::set<std::pair<std::string, std::string>>& also_keep) {
  if (absl::Status status = storage::MakeDirectory(directory_); !status.ok()) return status;
  absl::Status status =
      storage::WriteFileAtomically(directory_ + "/bundle", Serialize(bundle, kBundleType, ip_sets));
  if (!status.ok()) return status;

  std::set<std::string> needed;
  for (const auto& [name, version] : ip_sets) needed.insert(SetPath(name, version));
  for (const auto& [name, version] : also_keep) needed.insert(SetPath(name, version));
  absl::StatusOr<std::vector<std::string>> files = storage::ListFiles(directory_);
  if (!files.ok()) return files.status();
  for (const std::string& file : *files) {
    const std::string path = absl::StrCat(directory_, "/", file);
    if (file.rfind("set-", 0) == 0 && needed.find(path) == needed.end()) {
      if (absl::Status removed = storage::RemoveFile(path); !removed.ok()) return removed;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LastGood> LastGoodStore::Load() const {
  absl::StatusOr<Response> file = Read(directory_ + "/bundle");
  if (!file.ok()) return file.status();
  LastGood last_good;
  last_good.bundle = FirstOf(*file);
  for (int i = 1; i < file->resources_size(); ++i) {
    const auto& reference = file->resources(i);
    absl::Status status = LoadSet(reference.name(), reference.version(), &last_good.ip_sets);
    if (!status.ok()) return status;
  }
  return last_good;
}

absl::Status LastGoodStore::LoadSet(const std::string& name, std::string version,
                                    std::vector<ReceivedResource>* out) const {
  std::vector<ReceivedResource> steps;  // the newest first
  do {
    absl::StatusOr<Response> file = steps.size() < kMaxSetSteps
                                        ? Read(SetPath(name, version))
                                        : absl::DataLossError("its differences have no end");
    if (!file.ok()) {
      return absl::DataLossError(absl::StrCat("ip set \"", name, "\": ", file.status().message()));
    }
    steps.push_back(FirstOf(*file));
    // What cannot be parsed has no base; who uses it will say so.
    v1::IpSetResource set;
    version = set.ParseFromString(steps.back().value) ? set.base_version() : "";
  } while (!version.empty());
  out->insert(out->end(), std::make_move_iterator(steps.rbegin()),
              std::make_move_iterator(steps.rend()));
  return absl::OkStatus();
}

}  // namespace whence::discovery
