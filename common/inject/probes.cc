#include "common/inject/probes.h"

#include "absl/strings/str_cat.h"

namespace whence::inject {
namespace {

struct ProbeKind {
  const char* field;
  const char* page;
};
constexpr ProbeKind kKinds[] = {
    {"livenessProbe", "livez"}, {"readinessProbe", "readyz"}, {"startupProbe", "startupz"}};
constexpr const char* kHandlers[] = {"httpGet", "tcpSocket", "grpc"};

// The number behind a named port; null: not declared.
Json PortNumber(const Json& container, const Json& port) {
  if (!port.is_string()) return port;
  const std::string& name = port.get_ref<const std::string&>();
  if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) {
    return std::strtol(name.c_str(), nullptr, 10);
  }
  for (const Json& declared : At(container, {"ports"})) {
    if (At(declared, {"name"}) == port) return At(declared, {"containerPort"});
  }
  return nullptr;
}

void FindIn(const Json& container, const Path& at, std::vector<RewrittenProbe>* found,
            std::vector<std::string>* warnings) {
  const Json& name = At(container, {"name"});
  if (!name.is_string()) return;
  for (const ProbeKind& kind : kKinds) {
    const Json& probe = At(container, {kind.field});
    for (const char* handler : kHandlers) {
      const Json& original = At(probe, {handler});
      if (!original.is_object() || !At(original, {"host"}).is_null()) continue;
      if (At(original, {"scheme"}) == "HTTPS") {
        warnings->push_back(
            absl::StrCat(name.get<std::string>(), "/", kind.field,
                         ": HTTPS; the probe is left as it is, and policy judges it"));
        continue;
      }
      RewrittenProbe rewritten;
      rewritten.name = absl::StrCat(name.get<std::string>(), "/", kind.field);
      rewritten.original_handler = {{handler, original}};
      rewritten.original = rewritten.original_handler;
      Json& port = rewritten.original[handler]["port"];
      port = PortNumber(container, port);
      if (!port.is_number_integer()) {
        warnings->push_back(absl::StrCat(rewritten.name,
                                         ": its port is not declared in ports; the "
                                         "probe is left as it is, and policy judges it"));
        continue;
      }
      const Json& timeout = At(probe, {"timeoutSeconds"});
      rewritten.original["timeoutSeconds"] = timeout.is_number_integer() ? timeout : Json(1);
      rewritten.url_path = absl::StrCat("/app-health/", name.get<std::string>(), "/", kind.page);
      rewritten.entry = at;
      rewritten.entry.insert(rewritten.entry.end(), {kind.field, handler});
      found->push_back(std::move(rewritten));
    }
  }
}

}  // namespace

std::vector<RewrittenProbe> FindProbes(const Json& pod, std::vector<std::string>* warnings) {
  std::vector<RewrittenProbe> found;
  for (const char* list : {"containers", "initContainers"}) {
    const Json& containers = At(pod, {"spec", list});
    if (!containers.is_array()) continue;
    for (size_t i = 0; i < containers.size(); ++i) {
      FindIn(containers[i], {"spec", list, std::to_string(i)}, &found, warnings);
    }
  }
  return found;
}

}  // namespace whence::inject
