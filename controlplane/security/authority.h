// A private certificate authority for control planes, agents and operators.
//
// ECDSA on P-256 throughout. The CA's own certificate names its trust domain, and it makes no further
// CAs. A certificate has one SPIFFE URI (identity.h), and only a control plane's has host names and
// may be used by a server, so that no agent can pose as one.
//
// What an agent says of itself is no reason to trust it. So its certificate may name IP addresses,
// as a control plane's does, and labels: organizational units of the subject,
// "OU=app=legacy-proxy", which other authorities can be told to write as well.
#ifndef WHENCE_CONTROLPLANE_SECURITY_AUTHORITY_H_
#define WHENCE_CONTROLPLANE_SECURITY_AUTHORITY_H_

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/security/identity.h"

namespace whence::security {

struct PemPair {
  std::string certificate;
  std::string key;  // PKCS #8, without passphrase
};

// Reads the random generator, nothing else outside.
absl::StatusOr<PemPair> MakeAuthority(const std::string& trust_domain, WallTime now,
                                      std::chrono::hours validity);

// The trust domain that an authority's certificate is for.
absl::StatusOr<std::string> TrustDomainOf(std::string_view authority_certificate);

struct IssueRequest {
  Identity identity;
  std::vector<std::string> addresses;    // IP addresses; of control planes also host names
  std::chrono::hours validity{};         // cut to the authority's own end
  std::vector<std::string> labels = {};  // KEY=VALUE, at most 64 bytes each; agents only
};

// kInvalidArgument: an address or a label that such a certificate cannot have.
absl::StatusOr<PemPair> Issue(const PemPair& authority, const IssueRequest& request, WallTime now);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_AUTHORITY_H_
