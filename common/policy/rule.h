// One rule of a policy, compiled: what must hold, and what can be said about whether it does.
#ifndef WHENCE_COMMON_POLICY_RULE_H_
#define WHENCE_COMMON_POLICY_RULE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/policy/matcher.h"
#include "common/policy/policy_set.h"
#include "common/policy/policy_spec.h"
#include "common/trust/topology.h"

namespace whence::policy {

// A request as rules see it: the facts, and its path normalised.
struct Request {
  const RequestFacts& facts;
  std::string_view path;
};

// What a clause looks at.
enum class Attribute : uint8_t {
  kPeerAddress,
  kClientAddress,
  kDestinationAddress,
  kDestinationPort,
  kHost,
  kMethod,
  kPath,
  kHeader,
  kIdentity,  // what a connection without certificate or token does not have: never matches
};

// One field of a source, an operation or a condition: the OR of its values, perhaps negated.
struct Clause {
  Attribute attribute;
  bool is_negated = false;
  bool is_http_only = false;
  std::string header;                   // kHeader
  trust::AddressRanges addresses;       // the address attributes
  std::vector<uint16_t> ports;          // kDestinationPort
  std::vector<StringMatcher> strings;   // the text attributes
  std::vector<PathTemplate> templates;  // kPath, besides `strings`
  std::string label;  // "notRemoteIpBlocks 10.0.0.0/8, 192.0.2.1": as written, cut when long

  bool Holds(const Request& request) const;
  // "remoteIpBlocks 2.2.2.0/24 holds 2.2.2.2"; "the client is 2.2.2.2".
  std::string WhyHolds(const Request& request) const;
  std::string WhatIs(const Request& request) const;

 private:
  bool MatchesAny(const Request& request) const;
};

// All of them must hold; none asks for nothing.
using Clauses = std::vector<Clause>;

struct CompiledRule {
  const std::string* policy = nullptr;  // "namespace/name"; owned by the PolicySet
  Action action = Action::kAllow;
  bool is_dry_run = false;
  int index = 0;
  std::string key;  // ns[foo]-policy[ip]-rule[0]
  bool can_expire = false;
  WallTime expires;
  std::vector<Clauses> from;  // any of them; none asks for nothing
  std::vector<Clauses> to;
  Clauses when;
  bool uses_http = false;  // some clause is HTTP-only
  bool uses_path = false;

  bool Matches(const Request& request) const;
  // Why it does, or does not, match.
  std::string Why(const Request& request) const;

 private:
  bool IsVoid(const Request& request) const {
    return !request.facts.is_http && action == Action::kAllow && uses_http;
  }
  bool HasExpired(const Request& request) const {
    return can_expire && request.facts.now >= expires;
  }
};

std::string_view ActionText(Action action);

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_RULE_H_
