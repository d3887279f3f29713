#include "controlplane/admin/difference.h"

#include <google/protobuf/util/message_differencer.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/document/document.h"
#include "common/document/ip_set.h"
#include "common/document/kinds.h"
#include "common/document/unified_diff.h"
#include "controlplane/admin/plan.h"

namespace whence::admin {
namespace {

using google::protobuf::util::MessageDifferencer;

// Either side null: there is no such document.
struct Pair {
  const v1::Document* before = nullptr;
  const v1::Document* after = nullptr;
};

v1::DocumentDiff Compare(const Pair& pair, const std::string& before_label,
                         const std::string& after_label) {
  const v1::Document& named = pair.after != nullptr ? *pair.after : *pair.before;
  v1::DocumentDiff diff;
  v1::Change* change = diff.mutable_change();
  change->set_kind(named.kind());
  change->set_namespace_(named.metadata().namespace_());
  change->set_name(named.metadata().name());
  const bool same = pair.before != nullptr && pair.after != nullptr &&
                    MessageDifferencer::Equals(*pair.before, *pair.after);
  change->set_action(pair.before == nullptr  ? v1::Change::CREATED
                     : pair.after == nullptr ? v1::Change::DELETED
                     : same                  ? v1::Change::UNCHANGED
                                             : v1::Change::UPDATED);
  if (same) return diff;
  // /dev/null is what patch and editors take for "there is none".
  auto label = [](const v1::Document* document, const std::string& which) {
    return document == nullptr ? std::string("/dev/null")
                               : absl::StrCat(document::DisplayName(*document), " (", which, ")");
  };
  // Of a large set only what is on one side: a million lines in common tell nothing.
  auto text = [](const v1::Document* document, const v1::Document* other) {
    if (document == nullptr) return std::string();
    if (other == nullptr || !document->ip_set().has_packed()) return document::ToYaml(*document);
    v1::Document short_one = *document;
    document::SetContent(
        net::Minus(document::ContentOf(document->ip_set()), document::ContentOf(other->ip_set())),
        short_one.mutable_ip_set());
    return document::ToYaml(short_one);
  };
  diff.set_diff(document::UnifiedDiff(label(pair.before, before_label),
                                      text(pair.before, pair.after), label(pair.after, after_label),
                                      text(pair.after, pair.before)));
  return diff;
}

store::DocumentKey KeyOf(const v1::Document& document) {
  return {document::KeyKind(document), document.metadata().namespace_(),
          document.metadata().name()};
}

std::string Label(uint64_t revision) { return absl::StrCat("revision ", revision); }

void WarnOf(const Conflict& conflict, v1::DiffResponse* response) {
  v1::Fault* warning = response->add_warnings();
  warning->set_document(conflict.name);
  warning->set_path("metadata.resourceVersion");
  warning->set_message(absl::StrCat("is of revision ", conflict.based_on,
                                    ", and somebody has changed the document since: it will not "
                                    "be applied like this"));
}

}  // namespace

v1::DiffResponse DiffFiles(const model::ConfigState& state, const v1::DiffRequest& request,
                           const lint::Surroundings& surroundings) {
  v1::ApplyRequest apply;
  *apply.mutable_files() = request.files();
  *apply.mutable_ip_sets() = request.ip_sets();
  apply.set_ignore_unsupported(request.ignore_unsupported());
  apply.set_default_namespace(request.default_namespace());
  const Plan plan = PlanApply(state, apply, surroundings);
  v1::DiffResponse response;
  response.set_from_revision(state.revision);
  response.mutable_faults()->Assign(plan.faults.begin(), plan.faults.end());
  response.mutable_warnings()->Assign(plan.warnings.begin(), plan.warnings.end());
  if (!plan.faults.empty()) return response;
  for (const Conflict& conflict : plan.conflicts) WarnOf(conflict, &response);
  std::map<store::DocumentKey, const v1::Document*> now;
  for (const v1::StoredDocument& stored : state.documents) {
    now[KeyOf(stored.document())] = &stored.document();
  }
  for (const store::Mutation& mutation : plan.mutations) {
    auto found = now.find(mutation.key);
    const Pair pair{found == now.end() ? nullptr : found->second, &*mutation.document};
    *response.add_documents() = Compare(pair, Label(state.revision), "as given");
  }
  return response;
}

v1::DiffResponse DiffRevisions(const store::Contents& from, const store::Contents& to) {
  std::map<store::DocumentKey, Pair> pairs;
  for (const v1::StoredDocument& stored : from.documents) {
    pairs[KeyOf(stored.document())].before = &stored.document();
  }
  for (const v1::StoredDocument& stored : to.documents) {
    pairs[KeyOf(stored.document())].after = &stored.document();
  }
  v1::DiffResponse response;
  response.set_from_revision(from.revision);
  response.set_to_revision(to.revision);
  for (const auto& [key, pair] : pairs) {
    v1::DocumentDiff diff = Compare(pair, Label(from.revision), Label(to.revision));
    if (diff.change().action() != v1::Change::UNCHANGED) {
      *response.add_documents() = std::move(diff);
    }
  }
  return response;
}

}  // namespace whence::admin
