#include "common/inject/plan.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/inject/containers.h"
#include "common/inject/probes.h"

namespace whence::inject {
namespace {

constexpr char kDefaultContainer[] = "kubectl.kubernetes.io/default-container";

// Plans additions, and notes what was created for them.
class Additions {
 public:
  explicit Additions(Json pod) : pod_(std::move(pod)) {}

  // Puts `items` in front of the list, in their order; makes the list if there is none.
  void AddItems(const Path& list, const Json& items) {
    if (items.empty()) return;
    if (At(pod_, list).is_null()) {
      AddEntry(list, items);
      return;
    }
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      Add({.kind = Edit::Kind::kAddItem, .path = list, .value = *item});
    }
  }

  // Adds the entry, and the mappings above it that are missing, which are then its own.
  void AddEntry(Path path, Json value) {
    std::string key = path.back();
    path.pop_back();
    while (!path.empty() && At(pod_, path).is_null()) {
      value = Json{{key, std::move(value)}};
      key = path.back();
      path.pop_back();
    }
    Path whole = path;
    whole.push_back(key);
    created_.insert(Name(whole));
    Add({.kind = Edit::Kind::kAddEntry, .path = path, .key = key, .value = std::move(value)});
  }

  void Add(Edit edit) {
    Apply({edit}, &pod_);
    edits_.push_back(std::move(edit));
  }

  // Slashes stand in keys, so they cannot stand between them.
  static std::string Name(const Path& path) { return absl::StrJoin(path, "|"); }
  const std::set<std::string>& created() const { return created_; }
  std::vector<Edit> Take() { return std::move(edits_); }

 private:
  Json pod_;  // with all that was added so far
  std::vector<Edit> edits_;
  std::set<std::string> created_;
};

std::string WhyNot(const Json& pod, const PodSettings& settings) {
  if (!settings.wanted) return "its annotation or label says not to inject";
  if (At(pod, {"spec", "hostNetwork"}) == true) {
    return "it is on the host's network, where interception would catch the node's traffic";
  }
  return "";
}

// What the plan walks into and adds to is of the type that Kubernetes gives it.
absl::Status CheckTypes(const Json& pod) {
  for (const Path& path : std::vector<Path>{{},
                                            {"metadata"},
                                            {"metadata", "annotations"},
                                            {"metadata", "labels"},
                                            {"spec"},
                                            {"spec", "securityContext"}}) {
    const Json& value = At(pod, path);
    if (!value.is_null() && !value.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path.empty() ? "the pod" : absl::StrJoin(path, "."), ": give a mapping"));
    }
  }
  for (const Path& path : std::vector<Path>{{"spec", "containers"},
                                            {"spec", "initContainers"},
                                            {"spec", "volumes"},
                                            {"spec", "securityContext", "sysctls"}}) {
    const Json& list = At(pod, path);
    const bool is_good =
        list.is_null() ||
        (list.is_array() &&
         std::all_of(list.begin(), list.end(), [](const Json& item) { return item.is_object(); }));
    if (!is_good) {
      return absl::InvalidArgumentError(
          absl::StrCat(absl::StrJoin(path, "."), ": give a list of mappings"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckShape(const Json& pod) {
  if (!At(pod, {"spec", "containers"}).is_array() || At(pod, {"spec", "containers"}).empty()) {
    return absl::InvalidArgumentError("spec.containers: a pod has at least one container");
  }
  for (const char* list : {"containers", "initContainers"}) {
    const Json& containers = At(pod, {"spec", list});
    if (!containers.is_array()) continue;
    for (const Json& container : containers) {
      const Json& name = At(container, {"name"});
      if (name == kInitContainer || name == kAgentContainer) {
        return absl::AlreadyExistsError(
            absl::StrCat("spec.", list, " has a container named ", name.get<std::string>(),
                         ", but no annotation ", kStatusAnnotation,
                         " of an injection: remove the one or restore the other"));
      }
    }
  }
  return absl::OkStatus();
}

// Rewrites the probes; what they were, by name.
Json RewriteProbes(const std::vector<RewrittenProbe>& probes, const OriginalText& original_text,
                   Additions* additions) {
  Json originals = Json::object();
  for (const RewrittenProbe& probe : probes) {
    originals[probe.name] = {{"handler", probe.original_handler},
                             {"text", original_text(probe.entry)}};
    additions->Add({.kind = Edit::Kind::kReplaceEntry,
                    .path = probe.entry,
                    .key = "httpGet",
                    .value = {{"path", probe.url_path}, {"port", kHealthPort}}});
  }
  return originals;
}

// Sysctls that the pod sets itself stay its own.
Json MissingSysctls(const Json& pod, const Settings& settings) {
  Json missing = Json::array();
  const Json& own = At(pod, {"spec", "securityContext", "sysctls"});
  for (const Json& wanted : Sysctls(settings)) {
    const bool is_there = own.is_array() && std::any_of(own.begin(), own.end(), [&](const Json& s) {
                            return At(s, {"name"}) == wanted["name"];
                          });
    if (!is_there) missing.push_back(wanted);
  }
  return missing;
}

// Removal's view of one list: the indices of the items that are ours.
std::vector<size_t> OwnItems(const Json& list, const std::set<std::string>& names) {
  std::vector<size_t> own;
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
    const Json& name = At(list[i], {"name"});
    if (name.is_string() && names.count(name.get<std::string>()) > 0) own.push_back(i);
  }
  return own;
}

class Removal {
 public:
  Removal(const Json& pod, const Json& status) : pod_(pod) {
    for (const Json& name : At(status, {"created"})) {
      if (name.is_string()) created_.insert(name.get<std::string>());
    }
  }

  // Removes our items; the list and the mappings around it too, if we made them and they would be
  // left empty.
  void RemoveItems(const Path& list, const std::set<std::string>& names) {
    const Json& items = At(pod_, list);
    std::vector<size_t> own = OwnItems(items, names);
    if (own.empty()) return;
    if (own.size() == items.size() && RemoveCreated(list)) return;
    for (auto index = own.rbegin(); index != own.rend(); ++index) {
      Path path = list;
      path.push_back(std::to_string(*index));
      edits_.push_back({.kind = Edit::Kind::kRemove, .path = std::move(path)});
    }
  }

  // Our entries of one mapping.
  void RemoveEntries(const Path& mapping, const std::vector<std::string>& keys) {
    const Json& entries = At(pod_, mapping);
    std::vector<std::string> own;
    for (const std::string& key : keys) {
      if (entries.is_object() && entries.contains(key)) own.push_back(key);
    }
    if (own.empty()) return;
    if (own.size() == entries.size() && RemoveCreated(mapping)) return;
    for (const std::string& key : own) {
      Path path = mapping;
      path.push_back(key);
      edits_.push_back({.kind = Edit::Kind::kRemove, .path = std::move(path)});
    }
  }

  bool WasCreated(const Path& path) const { return created_.count(Additions::Name(path)) > 0; }
  void Add(Edit edit) { edits_.push_back(std::move(edit)); }
  std::vector<Edit> Take() { return std::move(edits_); }

 private:
  // `path` holds ours only. If we made it, or something around it, removes it with as much of that
  // as holds nothing else.
  bool RemoveCreated(Path path) {
    auto created = path;
    while (!created.empty() && !WasCreated(created)) created.pop_back();
    if (created.empty()) return false;
    while (path.size() > created.size()) {
      const Path parent(path.begin(), path.end() - 1);
      if (At(pod_, parent).size() != 1) break;
      path = parent;
    }
    edits_.push_back({.kind = Edit::Kind::kRemove, .path = std::move(path)});
    return true;
  }

  const Json& pod_;
  std::set<std::string> created_;
  std::vector<Edit> edits_;
};

void RestoreProbes(const Json& pod, const Json& status, Removal* removal) {
  for (const char* list : {"containers", "initContainers"}) {
    const Json& containers = At(pod, {"spec", list});
    for (size_t i = 0; containers.is_array() && i < containers.size(); ++i) {
      for (const char* field : {"livenessProbe", "readinessProbe", "startupProbe"}) {
        const Json& name = At(containers[i], {"name"});
        if (!name.is_string()) continue;
        const Json& original =
            At(status, {"probes", absl::StrCat(name.get<std::string>(), "/", field)});
        const Json& now = At(containers[i], {field, "httpGet", "path"});
        // Somebody may have given it a probe of another sort since.
        const bool is_ours =
            now.is_string() && absl::StartsWith(now.get<std::string>(), "/app-health/");
        const Json& handler = At(original, {"handler"});
        if (!is_ours || !handler.is_object() || handler.size() != 1) continue;
        const Json& text = At(original, {"text"});
        removal->Add({.kind = Edit::Kind::kReplaceEntry,
                      .path = {"spec", list, std::to_string(i), field, "httpGet"},
                      .key = handler.begin().key(),
                      .value = handler.begin().value(),
                      .text = text.is_string() ? text.get<std::string>() : ""});
      }
    }
  }
}

}  // namespace

absl::StatusOr<Plan> PlanInjection(const Json& pod, const Settings& defaults,
                                   const OriginalText& original_text) {
  if (absl::Status status = CheckTypes(pod); !status.ok()) return status;
  absl::StatusOr<PodSettings> read = ReadSettings(defaults, At(pod, {"metadata"}));
  if (!read.ok()) return read.status();
  const Settings& settings = read->settings;
  Plan plan;
  plan.skipped = WhyNot(pod, *read);
  if (!plan.skipped.empty()) return plan;
  if (absl::Status status = CheckShape(pod); !status.ok()) return status;
  plan.warnings = std::move(read->warnings);
  plan.trust_topology = std::move(read->trust_topology);

  Additions additions(pod);
  std::vector<RewrittenProbe> probes;
  if (settings.rewrite_probes) probes = FindProbes(pod, &plan.warnings);
  const Json originals = RewriteProbes(probes, original_text, &additions);
  const Json agent = AgentContainer(settings, At(pod, {"metadata", "labels"}), probes);
  Json first = Json::array({InitContainer(settings)});
  if (settings.native_sidecar) first.push_back(agent);
  additions.AddItems({"spec", "volumes"}, Volumes(settings));
  const Json sysctls = MissingSysctls(pod, settings);
  additions.AddItems({"spec", "securityContext", "sysctls"}, sysctls);
  additions.AddItems({"spec", "initContainers"}, first);
  bool is_default_container_ours = false;
  if (!settings.native_sidecar) {
    additions.AddItems({"spec", "containers"}, Json::array({agent}));
    if (At(pod, {"metadata", "annotations", kDefaultContainer}).is_null()) {
      is_default_container_ours = true;
      // kubectl logs and exec take the first container otherwise, which is now the agent.
      additions.AddEntry({"metadata", "annotations", kDefaultContainer},
                         At(pod, {"spec", "containers", "0", "name"}));
    }
  }
  const Path annotation = {"metadata", "annotations", kStatusAnnotation};
  Additions whole = additions;
  whole.AddEntry(annotation, "");  // what the annotation itself creates belongs into it
  Json status = {{"version", WHENCE_VERSION}, {"created", whole.created()}};
  for (const Json& sysctl : sysctls) status["sysctls"].push_back(sysctl["name"]);
  if (is_default_container_ours) status["defaultContainer"] = true;
  if (!originals.empty()) status["probes"] = originals;
  additions.AddEntry(annotation, status.dump());
  plan.edits = additions.Take();
  return plan;
}

absl::StatusOr<std::vector<Edit>> PlanRemoval(const Json& pod) {
  const Json& annotation = At(pod, {"metadata", "annotations", kStatusAnnotation});
  if (annotation.is_null()) return std::vector<Edit>();
  const Json status = annotation.is_string()
                          ? Json::parse(annotation.get<std::string>(), nullptr, false)
                          : Json(nullptr);
  if (!status.is_object() || !At(status, {"created"}).is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata.annotations.", kStatusAnnotation, ": not what an injection wrote"));
  }
  Removal removal(pod, status);
  RestoreProbes(pod, status, &removal);
  removal.RemoveItems({"spec", "volumes"}, {"whence-state", "whence-certs"});
  removal.RemoveItems({"spec", "initContainers"}, {kInitContainer, kAgentContainer});
  removal.RemoveItems({"spec", "containers"}, {kAgentContainer});
  std::set<std::string> sysctls;
  for (const Json& name : At(status, {"sysctls"})) {
    if (name.is_string()) sysctls.insert(name.get<std::string>());
  }
  removal.RemoveItems({"spec", "securityContext", "sysctls"}, sysctls);
  std::vector<std::string> annotations = {kStatusAnnotation};
  if (At(status, {"defaultContainer"}) == true) annotations.push_back(kDefaultContainer);
  removal.RemoveEntries({"metadata", "annotations"}, annotations);
  return removal.Take();
}

}  // namespace whence::inject
