#include "controlplane/security/identity.h"

#include <algorithm>
#include <vector>

#include "common/base/names.h"

namespace whence::security {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kMaxUriBytes = 2048;  // SPIFFE-ID, section 2.3

std::vector<std::string_view> Segments(std::string_view text) {
  std::vector<std::string_view> segments;
  while (true) {
    size_t slash = text.find('/');
    segments.push_back(text.substr(0, slash));
    if (slash == text.npos) return segments;
    text.remove_prefix(slash + 1);
  }
}

// The segment between an agent's namespace and its name.
struct AgentForm {
  std::string_view segment;
  Kind kind;
  trust::Role role;
};
constexpr AgentForm kAgentForms[] = {
    {"workload", Kind::kAgent, trust::Role::kSidecar},
    {"workloads", Kind::kWorkload, trust::Role::kSidecar},
    {"gateway", Kind::kAgent, trust::Role::kGateway},
    {"gateways", Kind::kWorkload, trust::Role::kGateway},
    {"node", Kind::kAgent, trust::Role::kNode},
    {"nodes", Kind::kWorkload, trust::Role::kNode},
};

// The letters of k8s.io/apimachinery/pkg/util/rand.
constexpr std::string_view kPodLetters = "bcdfghjklmnpqrstvwxz2456789";
constexpr std::string_view kDigits = "0123456789";
constexpr size_t kRandomLength = 5, kMaxHashLength = 10, kMinutesLength = 8;

bool Consists(std::string_view text, std::string_view of) {
  return text.find_first_not_of(of) == text.npos;
}

bool IsRandom(std::string_view text) {
  return text.size() == kRandomLength && Consists(text, kPodLetters);
}

bool IsOrdinal(std::string_view text) {
  return !text.empty() && text.size() <= 10 && Consists(text, kDigits) &&
         (text == "0" || text[0] != '0');
}

// Of a template's hash, or of a CronJob's minutes.
bool IsGeneration(std::string_view text) {
  return !text.empty() && ((text.size() <= kMaxHashLength && Consists(text, kPodLetters)) ||
                           (text.size() == kMinutesLength && Consists(text, kDigits)));
}

// What Kubernetes puts behind the name of a workload, without the first dash.
bool IsPodEnding(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == text.npos) return IsRandom(text) || IsOrdinal(text);
  return IsGeneration(text.substr(0, dash)) && IsRandom(text.substr(dash + 1));
}

}  // namespace

bool Identity::Covers(std::string_view agent) const {
  if (kind != Kind::kAgent && kind != Kind::kWorkload) return false;
  const std::string whole = namespace_name + "/" + name;
  if (agent == whole) return true;
  return kind == Kind::kWorkload && agent.size() > whole.size() && agent.starts_with(whole) &&
         agent[whole.size()] == '-' && IsPodEnding(agent.substr(whole.size() + 1));
}

bool IsTrustDomain(std::string_view text) {
  return IsName(text) &&
         std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::optional<Identity> ParseIdentity(std::string_view uri) {
  if (uri.size() > kMaxUriBytes || !uri.starts_with(kScheme)) return std::nullopt;
  std::vector<std::string_view> parts = Segments(uri.substr(kScheme.size()));
  if (!IsTrustDomain(parts[0])) return std::nullopt;
  if (!std::all_of(parts.begin() + 1, parts.end(), IsName)) return std::nullopt;
  Identity identity;
  identity.trust_domain = parts[0];
  if (parts.size() == 5 && parts[1] == "ns") {
    for (const AgentForm& form : kAgentForms) {
      if (parts[3] != form.segment) continue;
      identity.kind = form.kind;
      identity.role = form.role;
      identity.namespace_name = parts[2];
      identity.name = parts[4];
      return identity;
    }
  }
  if (parts.size() == 5 && parts[1] == "operator" && parts[3] == "role" &&
      (parts[4] == "viewer" || parts[4] == "editor")) {
    identity.kind = parts[4] == "editor" ? Kind::kEditor : Kind::kViewer;
    identity.name = parts[2];
    return identity;
  }
  if (parts.size() == 3 && parts[1] == "control-plane") {
    identity.kind = Kind::kControlPlane;
    identity.name = parts[2];
    return identity;
  }
  return std::nullopt;
}

std::string ToUri(const Identity& identity) {
  std::string uri = std::string(kScheme) + identity.trust_domain;
  switch (identity.kind) {
    case Kind::kAgent:
    case Kind::kWorkload:
      for (const AgentForm& form : kAgentForms) {
        if (form.kind != identity.kind || form.role != identity.role) continue;
        return uri + "/ns/" + identity.namespace_name + "/" + std::string(form.segment) + "/" +
               identity.name;
      }
      break;
    case Kind::kViewer:
      return uri + "/operator/" + identity.name + "/role/viewer";
    case Kind::kEditor:
      return uri + "/operator/" + identity.name + "/role/editor";
    case Kind::kControlPlane:
      break;
  }
  return uri + "/control-plane/" + identity.name;
}

}  // namespace whence::security
