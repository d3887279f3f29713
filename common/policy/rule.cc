#include "common/policy/rule.h"

#include <algorithm>
#include <optional>

#include "common/base/strings.h"

namespace whence::policy {
namespace {

const net::IpAddress& AddressOf(Attribute attribute, const RequestFacts& facts) {
  switch (attribute) {
    case Attribute::kClientAddress:
      return facts.client.ip();
    case Attribute::kDestinationAddress:
      return facts.destination.address.ip;
    default:
      return facts.peer.address.ip;
  }
}

bool MatchesText(const std::vector<StringMatcher>& strings, std::string_view text) {
  return std::any_of(strings.begin(), strings.end(),
                     [&](const StringMatcher& matcher) { return matcher.Matches(text); });
}

// On TCP a clause about HTTP is left out, which widens the rule; where that would be wrong, the
// rule is void and this is not reached.
bool IsDropped(const Clause& clause, const Request& request) {
  return clause.is_http_only && !request.facts.is_http;
}

// Only a request would tell.
bool IsUnknown(const Clause& clause, const RequestFacts& facts) {
  using Known = RequestFacts::Known;
  if (facts.known == Known::kRequest) return false;
  switch (clause.attribute) {
    case Attribute::kHost:
    case Attribute::kMethod:
    case Attribute::kPath:
    case Attribute::kHeader:
      return true;
    case Attribute::kClientAddress:
      return facts.known == Known::kPeer;
    default:
      return false;
  }
}

// What is unknown is taken as the request would have it that wants to get in.
bool Fails(const Clause& clause, const Request& request, Action action) {
  if (IsDropped(clause, request)) return false;
  if (IsUnknown(clause, request.facts)) return action != Action::kAllow;
  return !clause.Holds(request);
}

const Clause* FirstFailing(const Clauses& clauses, const Request& request, Action action) {
  for (const Clause& clause : clauses) {
    if (Fails(clause, request, action)) return &clause;
  }
  return nullptr;
}

const Clauses* FirstHolding(const std::vector<Clauses>& alternatives, const Request& request,
                            Action action) {
  for (const Clauses& clauses : alternatives) {
    if (FirstFailing(clauses, request, action) == nullptr) return &clauses;
  }
  return nullptr;
}

void AddText(std::string_view separator, std::string_view part, std::string* text) {
  if (!text->empty()) *text += separator;
  *text += part;
}

void DescribeHolding(const Clauses& clauses, const Request& request, std::string* text) {
  for (const Clause& clause : clauses) {
    if (!IsDropped(clause, request)) AddText(", ", clause.WhyHolds(request), text);
  }
}

std::string DescribeFailing(const std::vector<Clauses>& alternatives, const Request& request,
                            Action action) {
  std::string wants;
  std::string is;
  for (const Clauses& clauses : alternatives) {
    const Clause* failing = FirstFailing(clauses, request, action);
    AddText(" or ", failing->label, &wants);
    const std::string what = failing->WhatIs(request);
    if (is.find(what) == std::string::npos) AddText(", ", what, &is);
  }
  return "wants " + wants + "; " + is;
}

}  // namespace

std::string_view ActionText(Action action) {
  switch (action) {
    case Action::kAllow:
      return "ALLOW";
    case Action::kDeny:
      return "DENY";
    case Action::kAudit:
      return "AUDIT";
    case Action::kCustom:
      return "CUSTOM";
  }
  return "";
}

bool Clause::Holds(const Request& request) const { return MatchesAny(request) != is_negated; }

bool Clause::MatchesAny(const Request& request) const {
  const RequestFacts& facts = request.facts;
  switch (attribute) {
    case Attribute::kPeerAddress:
    case Attribute::kClientAddress:
    case Attribute::kDestinationAddress:
      return addresses.Contains(AddressOf(attribute, facts));
    case Attribute::kDestinationPort:
      return std::find(ports.begin(), ports.end(), facts.destination.address.port) != ports.end();
    case Attribute::kHost:
      return MatchesText(strings, facts.host);
    case Attribute::kMethod:
      return MatchesText(strings, facts.method);
    case Attribute::kPath:
      return MatchesText(strings, request.path) ||
             std::any_of(templates.begin(), templates.end(),
                         [&](const PathTemplate& path) { return path.Matches(request.path); });
    case Attribute::kHeader: {
      const HeaderValue value(facts.headers, header);
      return std::any_of(strings.begin(), strings.end(),
                         [&](const StringMatcher& matcher) { return matcher.Matches(value); });
    }
    case Attribute::kIdentity:
      return false;
  }
  return false;
}

std::string Clause::WhatIs(const Request& request) const {
  const RequestFacts& facts = request.facts;
  switch (attribute) {
    case Attribute::kPeerAddress:
      return "the peer is " + facts.peer.address.ip.ToString();
    case Attribute::kClientAddress:
      return "the client is " + facts.client.ip().ToString();
    case Attribute::kDestinationAddress:
      return "the destination is " + facts.destination.address.ip.ToString();
    case Attribute::kDestinationPort:
      return "the port is " + std::to_string(facts.destination.address.port);
    case Attribute::kHost:
      return "the host is \"" + std::string(facts.host) + "\"";
    case Attribute::kMethod:
      return "the method is " + std::string(facts.method);
    case Attribute::kPath:
      return "the path is " + std::string(request.path);
    case Attribute::kHeader: {
      std::string text;
      for (const http::HeaderField& field : facts.headers) {
        if (EqualsIgnoreCase(field.name, header)) AddText(",", field.value, &text);
      }
      const bool is_present = HeaderValue(facts.headers, header).is_present();
      return is_present ? header + " is \"" + text + "\"" : header + " is not there";
    }
    case Attribute::kIdentity:
      return "the connection has no identity";
  }
  return "";
}

std::string Clause::WhyHolds(const Request& request) const {
  if (!is_negated && attribute <= Attribute::kDestinationAddress) {
    const net::IpAddress& ip = AddressOf(attribute, request.facts);
    const std::optional<net::Cidr> range = addresses.LongestMatch(ip);
    if (range) {
      return label.substr(0, label.find(' ')) + " " + range->ToString() + " holds " + ip.ToString();
    }
  }
  return label + " (" + WhatIs(request) + ")";
}

bool CompiledRule::Matches(const Request& request) const {
  if (HasExpired(request) || IsVoid(request)) return false;
  if (!from.empty() && FirstHolding(from, request, action) == nullptr) return false;
  if (!to.empty() && FirstHolding(to, request, action) == nullptr) return false;
  return FirstFailing(when, request, action) == nullptr;
}

std::string CompiledRule::Why(const Request& request) const {
  if (HasExpired(request)) return "expired";
  if (IsVoid(request)) return "an ALLOW rule that looks at HTTP is void on TCP";
  const Clauses* held_from = FirstHolding(from, request, action);
  if (!from.empty() && held_from == nullptr) return DescribeFailing(from, request, action);
  const Clauses* held_to = FirstHolding(to, request, action);
  if (!to.empty() && held_to == nullptr) return DescribeFailing(to, request, action);
  if (const Clause* failing = FirstFailing(when, request, action)) {
    return "wants " + failing->label + "; " + failing->WhatIs(request);
  }
  std::string text;
  if (held_from != nullptr) DescribeHolding(*held_from, request, &text);
  if (held_to != nullptr) DescribeHolding(*held_to, request, &text);
  DescribeHolding(when, request, &text);
  return text.empty() ? "matches everything" : text;
}

}  // namespace whence::policy
