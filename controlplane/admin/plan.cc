#include "controlplane/admin/plan.h"

#include <google/protobuf/util/message_differencer.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/document.h"
#include "common/document/ip_set.h"
#include "common/document/kinds.h"
#include "common/document/resource_version.h"

namespace whence::admin {
namespace {

using DocumentMap = std::map<store::DocumentKey, const v1::Document*>;

store::DocumentKey KeyOf(const v1::Document& document) {
  return {document::KeyKind(document), document.metadata().namespace_(),
          document.metadata().name()};
}

DocumentMap Index(const model::ConfigState& state) {
  DocumentMap documents;
  for (const v1::StoredDocument& stored : state.documents) {
    documents[KeyOf(stored.document())] = &stored.document();
  }
  return documents;
}

std::vector<v1::Document> Copy(const DocumentMap& documents) {
  std::vector<v1::Document> copies;
  copies.reserve(documents.size());
  for (const auto& [key, document] : documents) copies.push_back(*document);
  return copies;
}

void Append(const std::vector<v1::Fault>& more, std::vector<v1::Fault>* faults) {
  faults->insert(faults->end(), more.begin(), more.end());
}

void CheckSize(const document::ParsedDocument& parsed, std::vector<v1::Fault>* faults) {
  size_t bytes = parsed.document.ByteSizeLong();
  if (parsed.document.has_ip_set() || bytes <= kMaxDocumentBytes) return;
  v1::Fault& fault = faults->emplace_back();
  document::Location place = parsed.locations.Find("");
  fault.set_file(parsed.file);
  fault.set_line(place.line);
  fault.set_column(place.column);
  fault.set_document(document::DisplayName(parsed.document));
  fault.set_message(absl::StrCat("is ", bytes >> 10, " KiB, more than ", kMaxDocumentBytes >> 10,
                                 " KiB: split it, or move its addresses into an IpSet"));
}

// An IpPolicy and an AuthorizationPolicy of one name are one document: whoever writes the second
// may think of two.
void WarnOfOtherKind(const document::ParsedDocument& parsed, const v1::Document& stored,
                     std::vector<v1::Fault>* warnings) {
  if (stored.kind() == parsed.document.kind()) return;
  v1::Fault& warning = warnings->emplace_back();
  const document::Location place = parsed.locations.Find("kind");
  warning.set_file(parsed.file);
  warning.set_line(place.line);
  warning.set_column(place.column);
  warning.set_document(document::DisplayName(parsed.document));
  warning.set_path("kind");
  warning.set_message(absl::StrCat("takes the place of ", document::DisplayName(stored),
                                   ": the two kinds share their names; to keep both, give this "
                                   "one another name"));
}

const v1::Document* FindIpSet(const model::ConfigState& state, const std::string& namespace_name,
                              const std::string& name) {
  for (const v1::StoredDocument& stored : state.documents) {
    const v1::ObjectMeta& metadata = stored.document().metadata();
    if (stored.document().has_ip_set() && metadata.namespace_() == namespace_name &&
        metadata.name() == name) {
      return &stored.document();
    }
  }
  return nullptr;
}

// What an uploaded content comes to. kAborted: not what its sender knew. InvalidArgument: broken.
absl::StatusOr<net::PackedCidrs> Resolve(const model::ConfigState& state,
                                         const v1::IpSetContent& upload) {
  net::PackedCidrs content{upload.cidrs().v4(), upload.cidrs().v6()};
  if (absl::Status status = net::CheckPacked(content); !status.ok()) return status;
  if (!upload.base_version().empty()) {
    const v1::Document* current = FindIpSet(state, upload.namespace_(), upload.name());
    net::PackedCidrs base;
    if (current) base = document::ContentOf(current->ip_set());
    if (!current || net::VersionOf(base) != upload.base_version()) {
      return absl::AbortedError("the set has changed meanwhile: send it whole");
    }
    const std::set<uint32_t> dropped(upload.dropped_chunks().begin(),
                                     upload.dropped_chunks().end());
    content = net::Union(
        net::TakeChunks(
            base, [&](size_t chunk) { return dropped.count(static_cast<uint32_t>(chunk)) == 0; }),
        content);
  }
  if (net::VersionOf(content) == upload.version()) return content;
  return upload.base_version().empty()
             ? absl::InvalidArgumentError("the content is not what its version says")
             : absl::AbortedError(
                   "the difference does not lead to its version: send the set whole");
}

// Gives the sets that came without their content what came beside them.
void TakeContents(const model::ConfigState& state, const v1::ApplyRequest& request,
                  std::vector<document::ParsedDocument>* changed, Plan* plan) {
  for (const v1::IpSetContent& upload : request.ip_sets()) {
    absl::StatusOr<net::PackedCidrs> content = Resolve(state, upload);
    document::ParsedDocument* owner = nullptr;
    for (document::ParsedDocument& parsed : *changed) {
      const v1::ObjectMeta& metadata = parsed.document.metadata();
      if (parsed.document.has_ip_set() && metadata.namespace_() == upload.namespace_() &&
          metadata.name() == upload.name()) {
        owner = &parsed;
      }
    }
    std::string problem;
    if (!content.ok()) {
      plan->send_whole_sets |= absl::IsAborted(content.status());
      problem = std::string(content.status().message());
    } else if (!owner) {
      problem = "there is no such document in the request";
    } else if (content->size() > document::kMaxIpSetCidrs) {
      problem =
          absl::StrCat("has ", content->size(), " CIDRs, more than ", document::kMaxIpSetCidrs,
                       ": split the set; a policy may name several");
    }
    if (!problem.empty()) {
      v1::Fault& fault = plan->faults.emplace_back();
      if (owner) fault.set_file(owner->file);
      fault.set_document(absl::StrCat("IpSet ", upload.namespace_(), "/", upload.name()));
      fault.set_path("spec");
      fault.set_message(std::move(problem));
      continue;
    }
    v1::IpSetSpec* spec = owner->document.mutable_ip_set();
    const bool is_small = content->size() <= static_cast<size_t>(document::kKeptAsWritten);
    document::SetContent(*std::move(content), spec);
    if (is_small) document::Expand(spec);
  }
}

absl::StatusOr<const document::Kind*> KindOf(const std::string& typed) {
  if (const document::Kind* kind = document::FindKindByAlias(typed)) return kind;
  std::string nearest = document::NearestKind(typed);
  std::string known;
  for (const document::Kind& kind : document::AllKinds()) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", ToAbsl(kind.name));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no kind \"", typed, "\"",
                   nearest.empty() ? "" : absl::StrCat(", did you mean ", nearest, "?"),
                   " (kinds: ", known, ")"));
}

// "default/edge: there is no such IpPolicy", and where there is one.
absl::Status Missing(const model::ConfigState& state, const document::Kind& kind,
                     const std::string& namespace_name, const std::string& name) {
  std::string elsewhere;
  for (const v1::StoredDocument& stored : state.documents) {
    const v1::Document& document = stored.document();
    if (document::KeyKind(document) != kind.key || document.metadata().name() != name) continue;
    absl::StrAppend(&elsewhere, elsewhere.empty() ? "" : ", ", document.metadata().namespace_());
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no ", ToAbsl(kind.name), " ", namespace_name, namespace_name.empty() ? "" : "/",
      name, elsewhere.empty() ? "" : absl::StrCat(" (there is one in namespace ", elsewhere, ")")));
}

using google::protobuf::util::MessageDifferencer;

// Takes the version out of a document that is to be applied, and notes if it is not the one of now.
// A document that already is as asked for is none: nothing could be lost.
void TakeVersion(const std::map<store::DocumentKey, const v1::StoredDocument*>& stored,
                 v1::Document* document, std::vector<Conflict>* conflicts) {
  const std::optional<uint64_t> based_on =
      document::ParseResourceVersion(document->metadata().resource_version());
  document->mutable_metadata()->clear_resource_version();
  if (!based_on) return;
  auto found = stored.find(KeyOf(*document));
  const v1::StoredDocument* now = found == stored.end() ? nullptr : found->second;
  if (now != nullptr &&
      (now->revision() == *based_on || MessageDifferencer::Equals(now->document(), *document))) {
    return;
  }
  Conflict& conflict = conflicts->emplace_back(
      Conflict{.key = KeyOf(*document), .name = document::DisplayName(*document), .author = {}});
  conflict.based_on = *based_on;
  if (now == nullptr) return;
  conflict.revision = now->revision();
  conflict.time_us = now->time_us();
  conflict.author = now->author();
  conflict.author_verified = now->author_verified();
}

// A large set's content goes beside its document: as text it would be long.
void AddContent(v1::Document* document, v1::ApplyRequest* request) {
  v1::IpSetContent* content = request->add_ip_sets();
  content->set_namespace_(document->metadata().namespace_());
  content->set_name(document->metadata().name());
  const net::PackedCidrs packed = document::ContentOf(document->ip_set());
  content->set_version(net::VersionOf(packed));
  content->mutable_cidrs()->set_v4(packed.v4);
  content->mutable_cidrs()->set_v6(packed.v6);
  document->mutable_ip_set()->clear_packed();
}

// The configuration with these documents applied, and without `gone`.
Plan PlanFiles(const model::ConfigState& state, const v1::ApplyRequest& request,
               const std::vector<store::DocumentKey>& gone,
               const lint::Surroundings& surroundings) {
  document::ParseOptions options;
  options.ignore_unsupported = request.ignore_unsupported();
  if (!request.default_namespace().empty()) options.default_namespace = request.default_namespace();
  std::map<store::DocumentKey, const v1::StoredDocument*> stored;
  for (const v1::StoredDocument& one : state.documents) stored[KeyOf(one.document())] = &one;
  Plan plan;
  std::vector<document::ParsedDocument> changed;
  for (const v1::SourceFile& file : request.files()) {
    document::ParseResult parsed = document::Parse(file.name(), file.content(), options);
    Append(parsed.faults, &plan.faults);
    Append(parsed.warnings, &plan.warnings);
    for (document::ParsedDocument& document : parsed.documents) {
      CheckSize(document, &plan.faults);
      TakeVersion(stored, &document.document, &plan.conflicts);
      if (const auto now = stored.find(KeyOf(document.document)); now != stored.end()) {
        WarnOfOtherKind(document, now->second->document(), &plan.warnings);
      }
      changed.push_back(std::move(document));
    }
  }
  TakeContents(state, request, &changed, &plan);
  DocumentMap result = Index(state);
  for (const document::ParsedDocument& parsed : changed) {
    result[KeyOf(parsed.document)] = &parsed.document;
  }
  for (const store::DocumentKey& key : gone) result.erase(key);
  // Also when documents had faults of their own: one run should show everything there is to mend.
  const std::vector<v1::Document> whole = Copy(result);
  document::Findings findings = document::Validate(changed, whole);
  Append(findings.faults, &plan.faults);
  Append(findings.warnings, &plan.warnings);
  if (plan.faults.empty()) Append(lint::Lint(changed, whole, surroundings), &plan.warnings);
  if (request.strict()) Append(std::exchange(plan.warnings, {}), &plan.faults);
  for (const document::ParsedDocument& parsed : changed) {
    plan.mutations.push_back({KeyOf(parsed.document), parsed.document});
  }
  for (const store::DocumentKey& key : gone) plan.mutations.push_back({key, std::nullopt});
  return plan;
}

}  // namespace

Plan PlanApply(const model::ConfigState& state, const v1::ApplyRequest& request,
               const lint::Surroundings& surroundings) {
  return PlanFiles(state, request, {}, surroundings);
}

Plan PlanRollback(const model::ConfigState& state, const store::Contents& target, bool strict,
                  const lint::Surroundings& surroundings) {
  DocumentMap now = Index(state);
  v1::ApplyRequest request;
  request.set_strict(strict);
  request.set_ignore_unsupported(true);  // as it was applied, whatever was asked for then
  for (const v1::StoredDocument& stored : target.documents) {
    auto found = now.find(KeyOf(stored.document()));
    const bool same =
        found != now.end() && MessageDifferencer::Equals(*found->second, stored.document());
    if (found != now.end()) now.erase(found);
    if (same) continue;
    v1::SourceFile* file = request.add_files();
    file->set_name(absl::StrCat("revision ", target.revision));
    v1::Document document = stored.document();
    if (document.has_ip_set() && document.ip_set().has_packed()) AddContent(&document, &request);
    file->set_content(document::ToYaml(document));
  }
  std::vector<store::DocumentKey> gone;
  for (const auto& [key, document] : now) gone.push_back(key);
  Plan plan = PlanFiles(state, request, gone, surroundings);
  for (std::vector<v1::Fault>* remarks : {&plan.faults, &plan.warnings}) {
    for (v1::Fault& remark : *remarks) {  // in a text that nobody has before him
      remark.clear_line();
      remark.clear_column();
    }
  }
  return plan;
}

absl::StatusOr<Plan> PlanDelete(const model::ConfigState& state, const v1::DeleteRequest& request) {
  absl::StatusOr<const document::Kind*> kind = KindOf(request.kind());
  if (!kind.ok()) return kind.status();
  if (request.name().empty()) return absl::InvalidArgumentError("name is empty: delete what?");
  std::string space = request.namespace_().empty() ? "default" : request.namespace_();
  store::DocumentKey key{std::string((*kind)->key), space, request.name()};
  DocumentMap result = Index(state);
  if (result.erase(key) == 0) return Missing(state, **kind, space, request.name());
  Plan plan;
  document::Findings findings = document::Validate({}, Copy(result));
  plan.faults = std::move(findings.faults);
  plan.warnings = std::move(findings.warnings);
  plan.mutations.push_back({std::move(key), std::nullopt});
  return plan;
}

std::vector<v1::Change> Preview(const model::ConfigState& state,
                                const std::vector<store::Mutation>& mutations) {
  DocumentMap documents = Index(state);
  std::vector<v1::Change> changes;
  for (const store::Mutation& mutation : mutations) {
    auto found = documents.find(mutation.key);
    bool exists = found != documents.end();
    v1::Change& change = changes.emplace_back();
    change.set_kind(mutation.document ? mutation.document->kind()
                    : exists          ? found->second->kind()
                                      : mutation.key.kind);
    change.set_namespace_(mutation.key.namespace_name);
    change.set_name(mutation.key.name);
    change.set_action(!mutation.document ? v1::Change::DELETED
                      : !exists          ? v1::Change::CREATED
                      : MessageDifferencer::Equals(*mutation.document, *found->second)
                          ? v1::Change::UNCHANGED
                          : v1::Change::UPDATED);
  }
  return changes;
}

absl::StatusOr<v1::IpSetDescription> Describe(const model::ConfigState& state,
                                              const v1::DescribeIpSetRequest& request) {
  const v1::Document* document = FindIpSet(state, request.namespace_(), request.name());
  if (!document) {
    return Missing(state, *document::FindKind("IpSet"), request.namespace_(), request.name());
  }
  const net::PackedCidrs content = document::ContentOf(document->ip_set());
  v1::IpSetDescription description;
  *description.mutable_metadata() = document->metadata();
  description.set_version(net::VersionOf(content));
  description.set_v4_count(content.v4.size() / net::kV4Record);
  description.set_v6_count(content.v6.size() / net::kV6Record);
  for (const uint64_t digest : net::ChunkDigests(content)) description.add_chunks(digest);
  return description;
}

absl::StatusOr<v1::GetResponse> Select(const model::ConfigState& state,
                                       const v1::GetRequest& request) {
  const document::Kind* kind = nullptr;
  if (!EqualsIgnoreCase(request.kind(), "all")) {
    absl::StatusOr<const document::Kind*> found = KindOf(request.kind());
    if (!found.ok()) return found.status();
    kind = *found;
  } else if (!request.name().empty()) {
    return absl::InvalidArgumentError("a name needs a kind, not \"all\"");
  }
  v1::GetResponse response;
  response.set_revision(state.revision);
  for (const v1::StoredDocument& stored : state.documents) {
    const v1::ObjectMeta& metadata = stored.document().metadata();
    if (kind && document::KeyKind(stored.document()) != kind->key) continue;
    if (!request.namespace_().empty() && metadata.namespace_() != request.namespace_()) continue;
    if (!request.name().empty() && metadata.name() != request.name()) continue;
    v1::StoredDocument* found = response.add_documents();
    *found = stored;
    found->mutable_document()->mutable_metadata()->set_resource_version(
        document::ResourceVersionText(stored.revision()));
  }
  if (!request.name().empty() && response.documents().empty()) {
    return Missing(state, *kind, request.namespace_(), request.name());
  }
  return response;
}

}  // namespace whence::admin
