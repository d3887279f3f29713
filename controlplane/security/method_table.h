// Who may call what: one row per RPC method of the server, and nothing else decides it.
//
// A method without a row is refused to everybody who comes with a certificate, so that a new RPC is
// closed until somebody has thought about it. A test holds the table against all services that are
// linked in.
#ifndef WHENCE_CONTROLPLANE_SECURITY_METHOD_TABLE_H_
#define WHENCE_CONTROLPLANE_SECURITY_METHOD_TABLE_H_

#include <optional>
#include <string_view>
#include <vector>

#include "controlplane/security/identity.h"

namespace whence::security {

enum class Audience {
  kAgents,     // an agent; what it gets is its own workload's, which the service sees to
  kViewers,    // operators of either role
  kEditors,    // operators who may change things
  kEverybody,  // whoever has a certificate of ours
};

struct MethodRule {
  std::string_view path;  // "/package.Service/Method", as HTTP/2 has it
  Audience audience;
};

const std::vector<MethodRule>& AllMethods();

// nullopt: the method is in no row.
std::optional<Audience> AudienceOf(std::string_view path);

bool Belongs(Kind kind, Audience audience);

// For messages: "editors".
std::string_view NameOf(Audience audience);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_METHOD_TABLE_H_
