#include "common/inject/injector.h"

#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/text_node.h"
#include "common/inject/plan.h"
#include "common/inject/text_editor.h"

namespace whence::inject {
namespace {

// Where the pod (its metadata and spec) hangs in an object of each kind.
const std::map<std::string, Path>& PodPaths() {
  static const auto* const kPaths =
      new std::map<std::string, Path>{{"Pod", {}},
                                      {"Deployment", {"spec", "template"}},
                                      {"StatefulSet", {"spec", "template"}},
                                      {"DaemonSet", {"spec", "template"}},
                                      {"ReplicaSet", {"spec", "template"}},
                                      {"ReplicationController", {"spec", "template"}},
                                      {"Job", {"spec", "template"}},
                                      {"CronJob", {"spec", "jobTemplate", "spec", "template"}}};
  return *kPaths;
}

// One pod of the text.
struct Target {
  size_t document;
  Path pod;          // from the document's root
  std::string name;  // "Deployment shop/web"
  std::string name_space;
};

std::string Text(const Json& value) { return value.is_string() ? value.get<std::string>() : ""; }

void FindTargets(const Json& object, size_t document, const Path& at,
                 std::vector<Target>* targets) {
  const std::string kind = Text(At(object, {"kind"}));
  if (kind == "List") {
    const Json& items = At(object, {"items"});
    for (size_t i = 0; items.is_array() && i < items.size(); ++i) {
      Path path = at;
      path.insert(path.end(), {"items", std::to_string(i)});
      FindTargets(items[i], document, path, targets);
    }
    return;
  }
  const auto found = PodPaths().find(kind);
  if (found == PodPaths().end()) return;
  Target target{document, at, kind + " ", Text(At(object, {"metadata", "namespace"}))};
  target.pod.insert(target.pod.end(), found->second.begin(), found->second.end());
  if (!target.name_space.empty()) absl::StrAppend(&target.name, target.name_space, "/");
  std::string name = Text(At(object, {"metadata", "name"}));
  if (name.empty()) name = Text(At(object, {"metadata", "generateName"})) + "*";
  target.name += name;
  targets->push_back(std::move(target));
}

absl::StatusOr<Json> Document(std::string_view text, size_t document) {
  const document::TextFile file = document::ParseText(text);
  if (!file.error.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.error_at.line, ":", file.error_at.column, ": ", file.error));
  }
  return ToJson(*file.documents[document]);
}

std::vector<Target> Targets(std::string_view text, Result* result) {
  std::vector<Target> targets;
  const document::TextFile file = document::ParseText(text);
  if (!file.error.empty()) {
    result->faults.push_back(
        absl::StrCat(file.error_at.line, ":", file.error_at.column, ": ", file.error));
    return targets;
  }
  for (size_t i = 0; i < file.documents.size(); ++i) {
    const absl::StatusOr<Json> object = ToJson(*file.documents[i]);
    if (!object.ok()) {
      result->faults.emplace_back(object.status().message());
    } else {
      FindTargets(*object, i, {}, &targets);
    }
  }
  return targets;
}

// The pod as it stands in `text` now.
absl::StatusOr<Json> PodOf(const Target& target, std::string_view text) {
  absl::StatusOr<Json> root = Document(text, target.document);
  if (!root.ok()) return root;
  return At(*root, target.pod);
}

absl::Status CarryOut(const Target& target, const std::vector<Edit>& edits, std::string* text) {
  for (Edit edit : edits) {
    edit.path.insert(edit.path.begin(), target.pod.begin(), target.pod.end());
    if (absl::Status status = EditText(target.document, edit, text); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status UninjectOne(const Target& target, std::string* text) {
  const absl::StatusOr<Json> pod = PodOf(target, *text);
  if (!pod.ok()) return pod.status();
  const absl::StatusOr<std::vector<Edit>> edits = PlanRemoval(*pod);
  if (!edits.ok()) return edits.status();
  return CarryOut(target, *edits, text);
}

// TrustTopology for the pods that carry the annotation.
Json TopologyOf(const Target& target, const Json& pod, const Json& spec) {
  Json document = {{"apiVersion", "whence.dev/v1"},
                   {"kind", "TrustTopology"},
                   {"metadata", {{"name", target.name.substr(target.name.find_last_of(" /") + 1)}}},
                   {"spec", Json::object()}};
  if (!target.name_space.empty()) document["metadata"]["namespace"] = target.name_space;
  document["spec"]["selector"] = {{"matchLabels", At(pod, {"metadata", "labels"})}};
  document["spec"].update(spec);
  return document;
}

absl::Status InjectOne(const Target& target, const Settings& defaults, std::string* text,
                       Result* result) {
  if (absl::Status status = UninjectOne(target, text); !status.ok()) return status;
  const absl::StatusOr<Json> pod = PodOf(target, *text);
  if (!pod.ok()) return pod.status();
  const auto original_text = [&](const Path& path) {
    Path whole = target.pod;
    whole.insert(whole.end(), path.begin(), path.end());
    return EntryText(*text, target.document, whole);
  };
  const absl::StatusOr<Plan> plan = PlanInjection(*pod, defaults, original_text);
  if (!plan.ok()) return plan.status();
  if (!plan->skipped.empty()) {
    result->notes.push_back(absl::StrCat(target.name, ": left alone: ", plan->skipped));
    return absl::OkStatus();
  }
  for (const std::string& warning : plan->warnings) {
    result->warnings.push_back(absl::StrCat(target.name, ": ", warning));
  }
  if (!plan->trust_topology.is_null()) {
    result->trust_topologies.push_back(TopologyOf(target, *pod, plan->trust_topology));
  }
  return CarryOut(target, plan->edits, text);
}

Result ForEachPod(std::string_view text,
                  const std::function<absl::Status(const Target&, std::string*, Result*)>& change) {
  Result result;
  result.text = std::string(text);
  for (const Target& target : Targets(text, &result)) {
    std::string changed = result.text;
    if (absl::Status status = change(target, &changed, &result); !status.ok()) {
      result.faults.push_back(absl::StrCat(target.name, ": ", std::string(status.message())));
    } else if (changed != result.text) {
      result.text = std::move(changed);
      ++result.changed;
    }
  }
  return result;
}

}  // namespace

Result Inject(std::string_view text, const Settings& defaults) {
  return ForEachPod(text, [&](const Target& target, std::string* changed, Result* result) {
    return InjectOne(target, defaults, changed, result);
  });
}

Result Uninject(std::string_view text) {
  return ForEachPod(text, [](const Target& target, std::string* changed, Result*) {
    return UninjectOne(target, changed);
  });
}

absl::StatusOr<Json> PatchPod(const Json& pod, const Settings& defaults,
                              std::vector<std::string>* warnings) {
  // A pod that was injected by hand keeps what its author chose.
  if (!At(pod, {"metadata", "annotations", kStatusAnnotation}).is_null()) return Json::array();
  const absl::StatusOr<Plan> plan =
      PlanInjection(pod, defaults, [](const Path&) { return std::string(); });
  if (!plan.ok()) return plan.status();
  warnings->insert(warnings->end(), plan->warnings.begin(), plan->warnings.end());
  return ToJsonPatch(plan->edits);
}

}  // namespace whence::inject
