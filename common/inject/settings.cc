#include "common/inject/settings.h"

#include <algorithm>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/names.h"
#include "common/base/strings.h"
#include "common/inject/text_editor.h"
#include "common/net/dial_target.h"

namespace whence::inject {
namespace {

absl::Status Wrong(std::string_view name, std::string_view value, std::string_view want) {
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(name), ": \"", ToAbsl(value), "\": give ", ToAbsl(want)));
}

absl::Status ReadBool(std::string_view name, const std::string& value, bool* out) {
  const std::string lower = absl::AsciiStrToLower(value);
  if (lower != "true" && lower != "false" && lower != "enabled" && lower != "disabled") {
    return Wrong(name, value, "\"true\" or \"false\"");
  }
  *out = lower == "true" || lower == "enabled";
  return absl::OkStatus();
}

absl::Status ReadWord(std::string_view name, const std::string& value,
                      const std::vector<std::string>& words, std::string* out) {
  *out = absl::AsciiStrToLower(value);
  if (std::find(words.begin(), words.end(), *out) != words.end()) return absl::OkStatus();
  std::string want;
  for (const std::string& word : words) absl::StrAppend(&want, want.empty() ? "" : " or ", word);
  return Wrong(name, value, want);
}

// `all`: the "*" that an include may be; excluding everything is no injection.
absl::Status ReadPorts(std::string_view name, const std::string& value, bool all,
                       std::string* out) {
  out->clear();
  if (all && value == "*") return absl::OkStatus();
  for (const absl::string_view word : absl::StrSplit(value, ',', absl::SkipWhitespace())) {
    const std::string port(absl::StripAsciiWhitespace(word));
    const bool digits = !port.empty() && port.size() <= 5 &&
                        std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
    if (!digits || std::stoi(port) < 1 || std::stoi(port) > 65535) {
      return Wrong(name, value, "ports such as \"8080,9090\"");
    }
    absl::StrAppend(out, out->empty() ? "" : ",", port);
  }
  return absl::OkStatus();
}

absl::Status ReadTarget(std::string_view name, const std::string& value, std::string* out) {
  if (!net::IsDialTarget(value)) return Wrong(name, value, net::kDialTargetForms);
  *out = value;
  return absl::OkStatus();
}

absl::Status ReadImage(std::string_view name, const std::string& value, std::string* out) {
  const bool is_printable = std::all_of(value.begin(), value.end(), absl::ascii_isgraph);
  if (value.empty() || !is_printable) {
    return Wrong(name, value, "an image such as registry.example/whence-agent:1");
  }
  *out = value;
  return absl::OkStatus();
}

// A Kubernetes quantity as far as a typing error shows.
absl::Status ReadQuantity(std::string_view name, const std::string& value, std::string* out) {
  if (value.empty() || !absl::ascii_isdigit(value[0]))
    return Wrong(name, value, "such as 100m or 64Mi");
  *out = value;
  return absl::OkStatus();
}

// gatewayTopology of Istio's ProxyConfig -> TrustTopology.
absl::Status ReadProxyConfig(std::string_view name, const std::string& value, PodSettings* pod) {
  const document::TextFile file = document::ParseText(value);
  if (!file.error.empty() || file.documents.size() != 1) {
    return Wrong(name, value, absl::StrCat("YAML: ", file.error));
  }
  const absl::StatusOr<Json> config = ToJson(*file.documents[0]);
  if (!config.ok()) return config.status();
  const Json& topology = At(*config, {"gatewayTopology"});
  for (const auto& [key, member] : Object(*config).items()) {
    if (key != "gatewayTopology") {
      pod->warnings.push_back(absl::StrCat(std::string(name), ": ", key, " has no meaning here"));
    }
  }
  if (!topology.is_object()) return absl::OkStatus();
  for (const auto& [key, member] : Object(topology).items()) {
    if (key == "numTrustedProxies" && member.is_number_integer() && member >= 0) {
      pod->trust_topology["numTrustedProxies"] = member;
    } else if (key == "proxyProtocol" && member.is_object()) {
      pod->trust_topology["proxyProtocol"] = {{"accept", "REQUIRED"}};
    } else {
      pod->warnings.push_back(
          absl::StrCat(std::string(name), ": gatewayTopology.", key, " has no meaning here"));
    }
  }
  return absl::OkStatus();
}

using Reader = std::function<absl::Status(const std::string& name, const std::string& value)>;

struct Annotation {
  std::string own;    // whence.dev/…
  std::string istio;  // the same in Istio's words; empty: none
  Reader read;
};

std::vector<Annotation> Annotations(PodSettings* pod) {
  Settings* s = &pod->settings;
  auto boolean = [](bool* out) {
    return [out](const std::string& n, const std::string& v) { return ReadBool(n, v, out); };
  };
  auto word = [](std::vector<std::string> words, std::string* out) {
    return [words, out](const std::string& n, const std::string& v) {
      return ReadWord(n, v, words, out);
    };
  };
  auto ports = [](bool all, std::string* out) {
    return [all, out](const std::string& n, const std::string& v) {
      return ReadPorts(n, v, all, out);
    };
  };
  auto quantity = [](std::string* out) {
    return [out](const std::string& n, const std::string& v) { return ReadQuantity(n, v, out); };
  };
  auto text = [](std::string* out) {
    return [out](const std::string&, const std::string& v) {
      *out = v;
      return absl::OkStatus();
    };
  };
  return {
      {"whence.dev/inject", "sidecar.istio.io/inject", boolean(&pod->wanted)},
      {"whence.dev/interception-mode", "sidecar.istio.io/interceptionMode",
       word({"tproxy", "redirect"}, &s->mode)},
      {"whence.dev/include-inbound-ports", "traffic.sidecar.istio.io/includeInboundPorts",
       ports(true, &s->include_ports)},
      {"whence.dev/exclude-inbound-ports", "traffic.sidecar.istio.io/excludeInboundPorts",
       ports(false, &s->exclude_ports)},
      {"whence.dev/rewrite-probes", "sidecar.istio.io/rewriteAppHTTPProbers",
       boolean(&s->rewrite_probes)},
      {"whence.dev/native-sidecar", "sidecar.istio.io/nativeSidecar", boolean(&s->native_sidecar)},
      {"whence.dev/on-exit", "", word({"block", "bypass"}, &s->on_exit)},
      {"whence.dev/sysctls", "", word({"pod", "init"}, &s->sysctls)},
      {"whence.dev/image", "",
       [s](const std::string& n, const std::string& v) { return ReadImage(n, v, &s->image); }},
      {"whence.dev/control-plane", "",
       [s](const std::string& n, const std::string& v) {
         return ReadTarget(n, v, &s->control_plane);
       }},
      {"whence.dev/certs-secret", "", text(&s->certs_secret)},
      {"whence.dev/cpu", "", quantity(&s->cpu_request)},
      {"whence.dev/memory", "", quantity(&s->memory_request)},
      {"whence.dev/cpu-limit", "", quantity(&s->cpu_limit)},
      {"whence.dev/memory-limit", "", quantity(&s->memory_limit)},
      {"", "proxy.istio.io/config",
       [pod](const std::string& n, const std::string& v) { return ReadProxyConfig(n, v, pod); }},
  };
}

// What Istio's injector reads from annotations and Whence cannot follow: silence would mislead.
constexpr const char* kWithoutMeaning[] = {"traffic.sidecar.istio.io/includeOutboundPorts",
                                           "traffic.sidecar.istio.io/excludeOutboundPorts",
                                           "traffic.sidecar.istio.io/includeOutboundIPRanges",
                                           "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                                           "traffic.sidecar.istio.io/kubevirtInterfaces"};

// Labels say inject as well; Istio prefers them.
std::string TextOf(const Json& metadata, const char* where, const std::string& name) {
  const Json& value = At(metadata, {where, name});
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

}  // namespace

absl::Status Normalize(Settings* settings) {
  absl::Status status = ReadImage("image", settings->image, &settings->image);
  status.Update(
      ReadTarget("agent-control-plane", settings->control_plane, &settings->control_plane));
  const std::string include = settings->include_ports, exclude = settings->exclude_ports;
  status.Update(ReadPorts("include-inbound-ports", include, true, &settings->include_ports));
  status.Update(ReadPorts("exclude-inbound-ports", exclude, false, &settings->exclude_ports));
  if (!settings->certs_secret.empty() && !IsName(settings->certs_secret)) {
    status.Update(Wrong("certs-secret", settings->certs_secret, "the name of a Secret"));
  }
  return status;
}

absl::StatusOr<PodSettings> ReadSettings(const Settings& defaults, const Json& metadata) {
  PodSettings pod;
  pod.settings = defaults;
  const std::vector<Annotation> annotations = Annotations(&pod);
  for (const Annotation& annotation : annotations) {
    for (const std::string& name : {annotation.own, annotation.istio}) {
      if (name.empty()) continue;
      std::string value = TextOf(metadata, "annotations", name);
      if (value.empty() && absl::EndsWith(name, "/inject"))
        value = TextOf(metadata, "labels", name);
      if (value.empty()) continue;
      if (absl::Status status = annotation.read(name, value); !status.ok()) {
        const bool is_named = absl::StartsWith(status.message(), name);
        return is_named ? absl::Status(status.code(), absl::StrCat("annotation ", status.message()))
                        : status;
      }
      break;
    }
  }
  const Json& given = At(metadata, {"annotations"});
  for (const auto& [name, value] : Object(given).items()) {
    const bool is_known = std::any_of(annotations.begin(), annotations.end(),
                                      [&, n = name](const Annotation& a) { return a.own == n; });
    if (absl::StartsWith(name, "whence.dev/") && !is_known && name != "whence.dev/status") {
      return absl::InvalidArgumentError(
          absl::StrCat("annotation ", name, ": there is no such; see whencectl inject --help"));
    }
  }
  for (const char* name : kWithoutMeaning) {
    if (!TextOf(metadata, "annotations", name).empty()) {
      pod.warnings.push_back(absl::StrCat(name, ": Whence intercepts inbound connections only"));
    }
  }
  return pod;
}

}  // namespace whence::inject
