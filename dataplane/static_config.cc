#include "dataplane/static_config.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/bundle/bundle_builder.h"
#include "common/document/document.h"
#include "common/lint/lint.h"
#include "common/wire/snapshot_decoder.h"
#include "dataplane/storage/file.h"

namespace whence {
namespace {

constexpr size_t kMaxDocumentBytes = 64 << 20;

bool IsDocumentName(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

// The files behind one argument, in an order that does not depend on the file system.
std::vector<std::string> FilesOf(const std::string& path, std::vector<std::string>* faults) {
  std::error_code error;
  if (path == "-" || !std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  std::filesystem::directory_iterator it(path, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    if (IsDocumentName(it->path())) files.push_back(it->path().string());
  }
  if (error) faults->push_back(absl::StrCat(path, ": ", error.message()));
  std::sort(files.begin(), files.end());
  if (files.empty() && !error)
    faults->push_back(absl::StrCat(path, ": holds no *.yaml, *.yml or *.json"));
  return files;
}

absl::StatusOr<std::string> Content(const std::string& file) {
  if (file != "-") return storage::ReadFile(file, kMaxDocumentBytes);
  return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
}

document::ParseOptions OptionsFor(const std::string& file, bool ignore_unsupported) {
  document::ParseOptions options;
  options.ignore_unsupported = ignore_unsupported;
  options.read_file = [folder =
                           std::filesystem::path(file).parent_path()](const std::string& path) {
    absl::StatusOr<std::string> content =
        storage::ReadFile((folder / path).string(), kMaxDocumentBytes);
    return content.ok() ? std::optional<std::string>(*std::move(content)) : std::nullopt;
  };
  return options;
}

template <typename Faults>
void AddText(const Faults& faults, std::vector<std::string>* out) {
  for (const v1::Fault& fault : faults) out->push_back(document::FaultText(fault));
}

StaticConfig Decode(const bundle::ConfigView& view, const bundle::Workload& self,
                    const std::vector<bundle::Workload>& inventory) {
  StaticConfig config;
  wire::IpSetMap sets;
  for (const v1::IpSetResource& resource : bundle::BuildIpSets(view)) {
    absl::StatusOr<std::shared_ptr<const net::CidrSet>> set = wire::DecodeIpSet(resource);
    if (set.ok()) {
      sets[resource.name()] = *std::move(set);
    } else {
      config.faults.push_back(std::string(set.status().message()));
    }
  }
  config.bundle = bundle::Build(view, inventory, self);
  absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> decoded =
      wire::Decode(config.bundle, bundle::ResourceVersion(config.bundle), sets);
  if (!decoded.ok()) {
    config.faults.push_back(absl::StrReplaceAll(decoded.status().message(), {{"\n", "; "}}));
  } else {
    config.snapshot = *std::move(decoded);
  }
  return config;
}

}  // namespace

LoadedDocuments LoadDocuments(const std::vector<std::string>& paths, bool ignore_unsupported) {
  LoadedDocuments loaded;
  std::vector<document::ParsedDocument> parsed;
  for (const std::string& path : paths) {
    for (const std::string& file : FilesOf(path, &loaded.faults)) {
      absl::StatusOr<std::string> content = Content(file);
      if (!content.ok()) {
        loaded.faults.push_back(std::string(content.status().message()));
        continue;
      }
      document::ParseResult result =
          document::Parse(file, *content, OptionsFor(file, ignore_unsupported));
      AddText(result.faults, &loaded.faults);
      AddText(result.warnings, &loaded.warnings);
      std::move(result.documents.begin(), result.documents.end(), std::back_inserter(parsed));
    }
  }
  for (const document::ParsedDocument& document : parsed)
    loaded.documents.push_back(document.document);
  const document::Findings findings = document::Validate(parsed, loaded.documents);
  AddText(findings.faults, &loaded.faults);
  AddText(findings.warnings, &loaded.warnings);
  if (loaded.faults.empty()) AddText(lint::Lint(parsed, loaded.documents, {}), &loaded.warnings);
  return loaded;
}

StaticConfig BuildStatic(LoadedDocuments loaded, const bundle::Workload& self,
                         const std::vector<bundle::Workload>& others) {
  StaticConfig config;
  if (loaded.faults.empty()) {
    const bundle::ConfigView view(std::move(loaded.documents));
    std::vector<bundle::Workload> inventory = others;
    inventory.push_back(self);
    config = Decode(view, self, inventory);
    if (!config.faults.empty()) config.snapshot = nullptr;
  } else {
    config.faults = std::move(loaded.faults);
  }
  config.warnings = std::move(loaded.warnings);
  return config;
}

void CheckDecoding(LoadedDocuments* loaded) {
  if (!loaded->faults.empty()) return;  // what does not parse cannot be resolved either
  std::set<std::pair<std::string, std::map<std::string, std::string>>> selected;
  for (const v1::Document& document : loaded->documents) {
    std::map<std::string, std::string> labels;
    const auto take = [&](const auto& map) { labels.insert(map.begin(), map.end()); };
    if (document.has_trust_topology()) take(document.trust_topology().selector().match_labels());
    if (document.has_ip_policy()) take(document.ip_policy().selector().match_labels());
    if (document.has_gateway()) take(document.gateway().selector());
    if (document.has_service()) take(document.service().selector());
    selected.emplace(document.metadata().namespace_(), std::move(labels));
  }
  const bundle::ConfigView view(loaded->documents);
  std::set<std::string> faults;
  for (const auto& [name_space, labels] : selected) {
    for (const trust::Role role :
         {trust::Role::kSidecar, trust::Role::kGateway, trust::Role::kNode}) {
      bundle::Workload workload;
      workload.namespace_ = name_space;
      workload.name = "any";
      workload.labels = labels;
      workload.role = role;
      const StaticConfig config = Decode(view, workload, {workload});
      faults.insert(config.faults.begin(), config.faults.end());
    }
  }
  loaded->faults.insert(loaded->faults.end(), faults.begin(), faults.end());
}

}  // namespace whence
