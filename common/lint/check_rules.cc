// Rules without effect: those that can never match, and those behind another that matches all that
// they do.
#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/document/dry_run.h"
#include "common/document/kinds.h"
#include "common/lint/report.h"
#include "common/net/cidr.h"

namespace whence::lint {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

// ---- Never ----

std::vector<net::Cidr> Parsed(const Texts& texts) {
  std::vector<net::Cidr> cidrs;
  for (const std::string& text : texts) {
    if (const auto cidr = net::Cidr::Parse(text); cidr.ok()) cidrs.push_back(*cidr);
  }
  return cidrs;
}

bool Encloses(const net::Cidr& outer, const net::Cidr& inner) {
  return outer.prefix_length() <= inner.prefix_length() && outer.Contains(inner.network());
}

// Each range of `inner` lies within one of `outer`.
bool Covers(const Texts& outer, const Texts& inner) {
  const std::vector<net::Cidr> outers = Parsed(outer);
  const std::vector<net::Cidr> inners = Parsed(inner);
  if (inners.size() > 1000 || outers.size() > 1000) return false;  // n·m, and nobody reads it
  return !inners.empty() && std::all_of(inners.begin(), inners.end(), [&](const net::Cidr& one) {
    return std::any_of(outers.begin(), outers.end(),
                       [&](const net::Cidr& other) { return Encloses(other, one); });
  });
}

// What a pattern stands for is among what another does: "*" holds all, "/a*" holds "/a/b".
bool PatternHolds(const std::string& outer, const std::string& inner) {
  if (outer == inner || outer == "*") return true;
  if (inner.find('*') != std::string::npos || inner.find('{') != std::string::npos) return false;
  if (outer.size() > 1 && outer.back() == '*') {
    return inner.compare(0, outer.size() - 1, outer, 0, outer.size() - 1) == 0;
  }
  if (outer.size() > 1 && outer.front() == '*') {
    const size_t tail = outer.size() - 1;
    return inner.size() >= tail && inner.compare(inner.size() - tail, tail, outer, 1, tail) == 0;
  }
  return false;
}

bool PatternsCover(const Texts& outer, const Texts& inner) {
  return !inner.empty() && std::all_of(inner.begin(), inner.end(), [&](const std::string& one) {
    return std::any_of(outer.begin(), outer.end(),
                       [&](const std::string& other) { return PatternHolds(other, one); });
  });
}

// The first reason why this source matches nothing; empty: it may match.
std::string ExcludedField(const v1::PolicySource& source) {
  if (Covers(source.not_ip_blocks(), source.ip_blocks())) return "ipBlocks";
  if (Covers(source.not_remote_ip_blocks(), source.remote_ip_blocks())) return "remoteIpBlocks";
  if (PatternsCover(source.not_ip_sets(), source.ip_sets())) return "ipSets";
  if (PatternsCover(source.not_remote_ip_sets(), source.remote_ip_sets())) return "remoteIpSets";
  return "";
}

std::string ExcludedField(const v1::PolicyOperation& operation) {
  if (PatternsCover(operation.not_ports(), operation.ports())) return "ports";
  if (PatternsCover(operation.not_methods(), operation.methods())) return "methods";
  if (PatternsCover(operation.not_paths(), operation.paths())) return "paths";
  if (PatternsCover(operation.not_hosts(), operation.hosts())) return "hosts";
  return "";
}

void WarnExcluded(const std::string& path, const std::string& field, Report& report) {
  std::string negation = field;
  negation[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(negation[0])));
  report.Warn(path + "." + field,
              absl::StrCat("can never match: not", negation, " beside it takes out all of it"));
}

void CheckSpelling(const v1::PolicyOperation& operation, const std::string& path, Report& report) {
  for (int i = 0; i < operation.methods_size(); ++i) {
    const std::string& method = operation.methods(i);
    if (std::any_of(method.begin(), method.end(),
                    [](unsigned char c) { return std::islower(c); })) {
      report.Warn(absl::StrCat(path, ".methods[", i, "]"),
                  absl::StrCat("\"", method, "\" can never match: methods are upper case"));
    }
  }
  for (int i = 0; i < operation.paths_size(); ++i) {
    const char first = operation.paths(i)[0];
    if (first == '/' || first == '*' || first == '{') continue;
    report.Warn(
        absl::StrCat(path, ".paths[", i, "]"),
        absl::StrCat("\"", operation.paths(i), "\" can never match: paths begin with a slash"));
  }
}

// Two conditions on one thing that has one value.
void CheckContradictions(const v1::PolicyRule& rule, const std::string& path, Report& report) {
  for (int b = 0; b < rule.when_size(); ++b) {
    const v1::PolicyCondition& second = rule.when(b);
    const std::string at = absl::StrCat(path, ".when[", b, "]");
    const bool is_address =
        second.key().size() > 3 && second.key().compare(second.key().size() - 3, 3, ".ip") == 0;
    if (is_address ? Covers(second.not_values(), second.values())
                   : PatternsCover(second.not_values(), second.values())) {
      report.Warn(at + ".values", "can never match: notValues beside it takes out all of it");
    }
    if (second.key() != "destination.port") continue;
    for (int a = 0; a < b; ++a) {
      const v1::PolicyCondition& first = rule.when(a);
      if (first.key() != second.key() || first.values().empty() || second.values().empty())
        continue;
      const bool meet =
          std::any_of(first.values().begin(), first.values().end(), [&](const std::string& port) {
            return std::count(second.values().begin(), second.values().end(), port) > 0;
          });
      if (!meet) {
        report.Warn(at + ".values", absl::StrCat("can never match: when[", a,
                                                 "] wants other ports, and a connection has one"));
      }
    }
  }
}

void CheckNever(Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  for (int r = 0; r < spec.rules_size(); ++r) {
    const v1::PolicyRule& rule = spec.rules(r);
    const std::string path = absl::StrCat("spec.rules[", r, "]");
    for (int f = 0; f < rule.from_size(); ++f) {
      const std::string field = ExcludedField(rule.from(f).source());
      if (!field.empty()) {
        WarnExcluded(absl::StrCat(path, ".from[", f, "].source"), field, report);
      }
    }
    for (int t = 0; t < rule.to_size(); ++t) {
      const std::string at = absl::StrCat(path, ".to[", t, "].operation");
      const std::string field = ExcludedField(rule.to(t).operation());
      if (!field.empty()) WarnExcluded(at, field, report);
      CheckSpelling(rule.to(t).operation(), at, report);
    }
    CheckContradictions(rule, path, report);
  }
}

// ---- Shadowed ----

template <typename Message>
bool Same(const Message& a, const Message& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// All that `inner` matches, `outer` matches. Sound, not complete: what it cannot tell it denies.
bool SourceHolds(const v1::PolicySource& outer, const v1::PolicySource& inner) {
  if (Same(outer, inner)) return true;
  // Of the outer one only ranges may be wanted; the inner one may want more.
  v1::PolicySource others = outer;
  others.clear_ip_blocks();
  others.clear_remote_ip_blocks();
  if (others.ByteSizeLong() != 0) return false;
  return (outer.ip_blocks().empty() || Covers(outer.ip_blocks(), inner.ip_blocks())) &&
         (outer.remote_ip_blocks().empty() ||
          Covers(outer.remote_ip_blocks(), inner.remote_ip_blocks()));
}

template <typename Fields>
bool SameList(const Fields& a, const Fields& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](const auto& x, const auto& y) { return Same(x, y); });
}

bool RuleHolds(const v1::PolicyRule& outer, const v1::PolicyRule& inner) {
  if (!outer.when().empty() && !SameList(outer.when(), inner.when())) return false;
  if (!outer.to().empty() && !SameList(outer.to(), inner.to())) return false;
  if (outer.from().empty()) return true;
  return !inner.from().empty() &&
         std::all_of(inner.from().begin(), inner.from().end(), [&](const v1::PolicyFrom& one) {
           return std::any_of(outer.from().begin(), outer.from().end(),
                              [&](const v1::PolicyFrom& other) {
                                return SourceHolds(other.source(), one.source());
                              });
         });
}

bool IsEnforced(const v1::Document& document) {
  return document.ip_policy().expires().empty() && !document::IsDryRun(document);
}

// On TCP fields of HTTP are dropped in one and void the other: only without them rules compare.
bool IsOfHttp(const v1::PolicyRule& rule) {
  for (const v1::PolicyTo& to : rule.to()) {
    v1::PolicyOperation others = to.operation();
    others.clear_ports();
    others.clear_not_ports();
    if (others.ByteSizeLong() != 0) return true;
  }
  return std::any_of(rule.when().begin(), rule.when().end(), [](const v1::PolicyCondition& when) {
    return when.key().rfind("request.", 0) == 0;
  });
}

void CheckShadowed(const Whole& whole, Report& report) {
  const v1::Document& document = report.document();
  const v1::IpPolicySpec& spec = document.ip_policy();
  for (int r = 0; r < spec.rules_size(); ++r) {
    const std::string path = absl::StrCat("spec.rules[", r, "]");
    int outer = 0;
    while (outer < r && (IsOfHttp(spec.rules(outer)) != IsOfHttp(spec.rules(r)) ||
                         !RuleHolds(spec.rules(outer), spec.rules(r)))) {
      ++outer;
    }
    if (outer < r) {
      report.Warn(path, absl::StrCat("adds nothing: rules[", outer, "] matches all that it does"));
      continue;
    }
    if (spec.action() != v1::IpPolicySpec::ALLOW) continue;
    for (const v1::Document& other : whole.documents) {
      const bool denies_same =
          other.has_ip_policy() && other.ip_policy().action() == v1::IpPolicySpec::DENY &&
          IsEnforced(other) &&
          (other.metadata().namespace_() == document.metadata().namespace_() ||
           other.metadata().namespace_() == whole.root_namespace) &&
          Includes(spec.selector().match_labels(), other.ip_policy().selector().match_labels());
      if (!denies_same) continue;
      const auto& rules = other.ip_policy().rules();
      const auto holding =
          std::find_if(rules.begin(), rules.end(), [&](const v1::PolicyRule& rule) {
            return !IsOfHttp(rule) && RuleHolds(rule, spec.rules(r));
          });
      if (holding == rules.end()) continue;
      report.Warn(path, absl::StrCat("allows nothing: ", document::DisplayName(other),
                                     " denies all that it matches, and denials come first"));
      break;
    }
  }
}

// Of a policy that has expired. That there is an ALLOW policy is what shuts others out, and there
// still is one.
std::string WhatIsLeft(const v1::Document& policy) {
  switch (policy.ip_policy().action()) {
    case v1::IpPolicySpec::ALLOW:
      return absl::StrCat("this policy lets nobody in any more, and ",
                          document::IsDryRun(policy)
                              ? "whom no other ALLOW policy lets in is still logged as denied"
                              : "still shuts out whom no other ALLOW policy lets in",
                          "; delete it if that is not meant");
    case v1::IpPolicySpec::DENY:
    case v1::IpPolicySpec::CUSTOM:
      return "this policy denies nobody any more";
    default:
      return "this policy decides nothing";
  }
}

}  // namespace

void CheckRules(const Whole& whole, Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  const WallTime now = whole.surroundings.now;
  absl::Time expires;
  if (now != WallTime() && absl::ParseTime(absl::RFC3339_full, spec.expires(), &expires, nullptr) &&
      absl::ToUnixMicros(expires) <= now.time_since_epoch().count()) {
    report.Warn("spec.expires", absl::StrCat("is in the past: ", WhatIsLeft(report.document())));
  }
  CheckNever(report);
  CheckShadowed(whole, report);
}

}  // namespace whence::lint
