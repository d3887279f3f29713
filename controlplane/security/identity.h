// Who a certificate says somebody is.
//
// A certificate of ours carries exactly one URI, a SPIFFE ID:
//
//   spiffe://DOMAIN/ns/NAMESPACE/workload/NAME   an agent, for that workload and no other
//   spiffe://DOMAIN/operator/NAME/role/viewer    an operator who may look (or: editor, who may change)
//   spiffe://DOMAIN/control-plane/NAME           a control plane
//
// Pure. One spelling each: no empty segment, no escapes, no trailing slash, case as written; what is
// spelled otherwise is nobody.
#ifndef WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_
#define WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_

#include <optional>
#include <string>
#include <string_view>

namespace whence::security {

enum class Kind { kAgent, kViewer, kEditor, kControlPlane };

struct Identity {
  Kind kind = Kind::kViewer;
  std::string trust_domain;
  std::string namespace_name;  // agents only
  std::string name;

  // "namespace/name", as agents are known everywhere else. Agents only.
  std::string workload() const { return namespace_name + "/" + name; }
  friend bool operator==(const Identity&, const Identity&) = default;
};

// A DNS name in lower case: the part of the URI that says whose names these are.
bool IsTrustDomain(std::string_view text);

std::optional<Identity> ParseIdentity(std::string_view uri);
// ParseIdentity(ToUri(x)) == x.
std::string ToUri(const Identity& identity);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_
