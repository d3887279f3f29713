// A policy as its author wrote it: IpPolicySpec of documents.proto without protobuf.
#ifndef WHENCE_COMMON_POLICY_POLICY_SPEC_H_
#define WHENCE_COMMON_POLICY_POLICY_SPEC_H_

#include <string>
#include <vector>

namespace whence::policy {

enum class Action { kAllow, kDeny, kAudit, kCustom };

// All set fields must hold; values of a field are alternatives; `not_` fields exclude. A list that
// is empty asks for nothing.
struct Source {
  std::vector<std::string> ip_blocks, not_ip_blocks;                // the direct peer
  std::vector<std::string> remote_ip_blocks, not_remote_ip_blocks;  // the trusted client
  // Named sets, "name" in the policy's namespace or "namespace/name". For the direct peer, and for
  // the trusted client.
  std::vector<std::string> ip_sets, not_ip_sets;
  std::vector<std::string> remote_ip_sets, not_remote_ip_sets;
  // Identity. A connection has none here: the plain fields never match, their negations always do.
  std::vector<std::string> principals, not_principals;
  std::vector<std::string> request_principals, not_request_principals;
  std::vector<std::string> namespaces, not_namespaces;
  std::vector<std::string> service_accounts, not_service_accounts;
  std::vector<std::string> trust_domains, not_trust_domains;
};

struct Operation {
  std::vector<std::string> hosts, not_hosts;
  std::vector<std::string> ports, not_ports;
  std::vector<std::string> methods, not_methods;
  std::vector<std::string> paths, not_paths;
};

struct Condition {
  std::string key;  // "source.ip", "request.headers[x-env]", …
  std::vector<std::string> values, not_values;
};

// Any `from` and any `to` and every `when`; an empty list asks for nothing.
struct Rule {
  std::vector<Source> from;
  std::vector<Operation> to;
  std::vector<Condition> when;
};

struct PolicySpec {
  std::string namespace_;
  std::string name;
  Action action = Action::kAllow;
  std::vector<Rule> rules;  // none: the policy never matches
  bool dry_run = false;     // decided and reported, not enforced
  std::string expires;      // RFC 3339; empty: never
};

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_POLICY_SPEC_H_
