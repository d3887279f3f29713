#include "common/policy/compiler.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "common/base/strings.h"

namespace whence::policy {
namespace {

using Values = std::vector<std::string>;

// How the values of a field are read.
enum class Syntax { kCidrs, kIpSets, kPorts, kStrings, kHosts, kPaths, kIdentity };

// One field of a source or an operation, and its negation.
template <typename Part>
struct Field {
  const char* name;
  Values Part::*values;
  const char* negated_name;
  Values Part::*negated_values;
  Attribute attribute;
  Syntax syntax;
  bool is_http_only;
};

constexpr Field<Source> kSourceFields[] = {
    {"ipBlocks", &Source::ip_blocks, "notIpBlocks", &Source::not_ip_blocks, Attribute::kPeerAddress,
     Syntax::kCidrs, false},
    {"remoteIpBlocks", &Source::remote_ip_blocks, "notRemoteIpBlocks",
     &Source::not_remote_ip_blocks, Attribute::kClientAddress, Syntax::kCidrs, false},
    {"ipSets", &Source::ip_sets, "notIpSets", &Source::not_ip_sets, Attribute::kPeerAddress,
     Syntax::kIpSets, false},
    {"remoteIpSets", &Source::remote_ip_sets, "notRemoteIpSets", &Source::not_remote_ip_sets,
     Attribute::kClientAddress, Syntax::kIpSets, false},
    {"principals", &Source::principals, "notPrincipals", &Source::not_principals,
     Attribute::kIdentity, Syntax::kIdentity, false},
    {"requestPrincipals", &Source::request_principals, "notRequestPrincipals",
     &Source::not_request_principals, Attribute::kIdentity, Syntax::kIdentity, true},
    {"namespaces", &Source::namespaces, "notNamespaces", &Source::not_namespaces,
     Attribute::kIdentity, Syntax::kIdentity, false},
    {"serviceAccounts", &Source::service_accounts, "notServiceAccounts",
     &Source::not_service_accounts, Attribute::kIdentity, Syntax::kIdentity, false},
    {"trustDomains", &Source::trust_domains, "notTrustDomains", &Source::not_trust_domains,
     Attribute::kIdentity, Syntax::kIdentity, false},
};

constexpr Field<Operation> kOperationFields[] = {
    {"hosts", &Operation::hosts, "notHosts", &Operation::not_hosts, Attribute::kHost,
     Syntax::kHosts, true},
    {"ports", &Operation::ports, "notPorts", &Operation::not_ports, Attribute::kDestinationPort,
     Syntax::kPorts, false},
    {"methods", &Operation::methods, "notMethods", &Operation::not_methods, Attribute::kMethod,
     Syntax::kStrings, true},
    {"paths", &Operation::paths, "notPaths", &Operation::not_paths, Attribute::kPath,
     Syntax::kPaths, true},
};

// The keys of conditions that have a fixed name.
struct Key {
  std::string_view name;
  Attribute attribute;
  Syntax syntax;
  bool is_http_only;
};
constexpr Key kKeys[] = {
    {"source.ip", Attribute::kPeerAddress, Syntax::kCidrs, false},
    {"remote.ip", Attribute::kClientAddress, Syntax::kCidrs, false},
    {"destination.ip", Attribute::kDestinationAddress, Syntax::kCidrs, false},
    {"destination.port", Attribute::kDestinationPort, Syntax::kPorts, false},
    {"source.namespace", Attribute::kIdentity, Syntax::kIdentity, false},
    {"source.principal", Attribute::kIdentity, Syntax::kIdentity, false},
    {"source.serviceAccount", Attribute::kIdentity, Syntax::kIdentity, false},
    {"source.trustDomain", Attribute::kIdentity, Syntax::kIdentity, false},
    {"connection.sni", Attribute::kIdentity, Syntax::kIdentity, false},
    {"request.auth.principal", Attribute::kIdentity, Syntax::kIdentity, true},
    {"request.auth.audiences", Attribute::kIdentity, Syntax::kIdentity, true},
    {"request.auth.presenter", Attribute::kIdentity, Syntax::kIdentity, true},
};

// "request.headers[x-env]" with "request.headers" gives "x-env"; nullopt if it is another key.
std::optional<std::string_view> Subscript(std::string_view key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return std::nullopt;
  key.remove_prefix(prefix.size());
  if (key.size() < 3 || key.front() != '[' || key.back() != ']') return std::nullopt;
  return key.substr(1, key.size() - 2);
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port == 0 || port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

// Long lists are cut: a label is read by people.
std::string Label(std::string_view name, const Values& values) {
  constexpr size_t kShown = 5;
  std::string label(name);
  for (size_t i = 0; i < values.size() && i < kShown; ++i) {
    label += i == 0 ? " " : ", ";
    label += values[i];
  }
  if (values.size() > kShown) label += " and " + std::to_string(values.size() - kShown) + " more";
  return label;
}

void NoteUse(const Clauses& clauses, CompiledRule* rule) {
  for (const Clause& clause : clauses) {
    rule->uses_http |= clause.is_http_only;
    rule->uses_path |= clause.attribute == Attribute::kPath;
  }
}

class Compiler {
 public:
  Compiler(const PolicySpec& spec, const IpSetLookup& ip_sets, std::vector<std::string>* faults)
      : spec_(spec), ip_sets_(ip_sets), faults_(faults) {}

  CompiledPolicy Run();

 private:
  CompiledRule CompileRule(const Rule& rule, const std::string& path);
  template <typename Part, size_t kSize>
  Clauses CompilePart(const Part& part, const Field<Part> (&fields)[kSize],
                      const std::string& path);
  void CompileCondition(const Condition& condition, const std::string& path, Clauses* clauses);
  void AddClause(const Values& values, const std::string& path, std::string_view name,
                 Syntax syntax, Clause clause, Clauses* clauses);
  bool ReadValue(const std::string& value, const std::string& path, Syntax syntax,
                 std::vector<net::Cidr>* cidrs, Clause* clause);
  bool ReadPath(const std::string& value, const std::string& path, Clause* clause);
  bool ReadIpSet(const std::string& value, const std::string& path, Clause* clause);
  void ReadExpiry(CompiledPolicy* policy);

  // Always false, so that a reader can return it.
  bool Fault(const std::string& path, const std::string& what) {
    faults_->push_back("policy \"" + spec_.namespace_ + "/" + spec_.name + "\": " + path + ": " +
                       what);
    return false;
  }

  const PolicySpec& spec_;
  const IpSetLookup& ip_sets_;
  std::vector<std::string>* const faults_;
};

CompiledPolicy Compiler::Run() {
  CompiledPolicy policy{.name = spec_.namespace_ + "/" + spec_.name,
                        .action = spec_.action,
                        .is_dry_run = spec_.dry_run};
  for (size_t i = 0; i < spec_.rules.size(); ++i) {
    const std::string index = std::to_string(i);
    CompiledRule rule = CompileRule(spec_.rules[i], "spec.rules[" + index + "]");
    rule.action = spec_.action;
    rule.is_dry_run = spec_.dry_run;
    rule.index = static_cast<int>(i);
    for (const auto* alternatives : {&rule.from, &rule.to}) {
      for (const Clauses& clauses : *alternatives) NoteUse(clauses, &rule);
    }
    NoteUse(rule.when, &rule);
    rule.key = "ns[" + spec_.namespace_ + "]-policy[" + spec_.name + "]-rule[" + index + "]";
    policy.rules.push_back(std::move(rule));
  }
  ReadExpiry(&policy);
  return policy;
}

CompiledRule Compiler::CompileRule(const Rule& rule, const std::string& path) {
  CompiledRule compiled;
  for (size_t i = 0; i < rule.from.size(); ++i) {
    compiled.from.push_back(
        CompilePart(rule.from[i], kSourceFields, path + ".from[" + std::to_string(i) + "].source"));
  }
  for (size_t i = 0; i < rule.to.size(); ++i) {
    compiled.to.push_back(CompilePart(rule.to[i], kOperationFields,
                                      path + ".to[" + std::to_string(i) + "].operation"));
  }
  for (size_t i = 0; i < rule.when.size(); ++i) {
    CompileCondition(rule.when[i], path + ".when[" + std::to_string(i) + "]", &compiled.when);
  }
  return compiled;
}

template <typename Part, size_t kSize>
Clauses Compiler::CompilePart(const Part& part, const Field<Part> (&fields)[kSize],
                              const std::string& path) {
  Clauses clauses;
  for (const Field<Part>& field : fields) {
    const Clause clause{.attribute = field.attribute, .is_http_only = field.is_http_only};
    AddClause(part.*field.values, path + "." + field.name, field.name, field.syntax, clause,
              &clauses);
    Clause negated = clause;
    negated.is_negated = true;
    AddClause(part.*field.negated_values, path + "." + field.negated_name, field.negated_name,
              field.syntax, std::move(negated), &clauses);
  }
  // Istio refuses it as well: it reads like "nobody" and would mean "anybody".
  if (clauses.empty()) Fault(path, "must set at least one field");
  return clauses;
}

void Compiler::CompileCondition(const Condition& condition, const std::string& path,
                                Clauses* clauses) {
  std::optional<Clause> clause;
  Syntax syntax = Syntax::kStrings;
  for (const Key& key : kKeys) {
    if (condition.key != key.name) continue;
    clause = Clause{.attribute = key.attribute, .is_http_only = key.is_http_only};
    syntax = key.syntax;
  }
  if (const auto header = Subscript(condition.key, "request.headers")) {
    clause = Clause{.attribute = Attribute::kHeader, .is_http_only = true};
    clause->header = *header;
    // Envoy's names for what HTTP/1 keeps elsewhere. Any other is a header that is never there.
    if (EqualsIgnoreCase(*header, ":authority")) {
      clause->attribute = Attribute::kHost;
      syntax = Syntax::kHosts;
    } else if (EqualsIgnoreCase(*header, ":method")) {
      clause->attribute = Attribute::kMethod;
    } else if (EqualsIgnoreCase(*header, ":path")) {
      Fault(path + ".key", "use operation.paths, which sees it normalised");
    }
  } else if (Subscript(condition.key, "request.auth.claims")) {
    clause = Clause{.attribute = Attribute::kIdentity, .is_http_only = true};
    syntax = Syntax::kIdentity;
  }
  if (!clause) {
    Fault(path + ".key", "\"" + condition.key +
                             "\" is not known; try source.ip, remote.ip, destination.ip, "
                             "destination.port or request.headers[name]");
    return;
  }
  if (condition.values.empty() && condition.not_values.empty()) {
    Fault(path, "must have values or notValues");
  }
  AddClause(condition.values, path + ".values", condition.key, syntax, *clause, clauses);
  clause->is_negated = true;
  AddClause(condition.not_values, path + ".notValues", condition.key + " not", syntax,
            std::move(*clause), clauses);
}

void Compiler::AddClause(const Values& values, const std::string& path, std::string_view name,
                         Syntax syntax, Clause clause, Clauses* clauses) {
  if (values.empty()) return;
  std::vector<net::Cidr> cidrs;
  for (size_t i = 0; i < values.size(); ++i) {
    ReadValue(values[i], path + "[" + std::to_string(i) + "]", syntax, &cidrs, &clause);
  }
  clause.addresses.cidrs = net::CidrSet(std::move(cidrs));
  clause.label = Label(name, values);
  clauses->push_back(std::move(clause));
}

bool Compiler::ReadValue(const std::string& value, const std::string& path, Syntax syntax,
                         std::vector<net::Cidr>* cidrs, Clause* clause) {
  if (value.empty()) return Fault(path, "must not be empty");
  switch (syntax) {
    case Syntax::kCidrs: {
      const auto cidr = net::Cidr::Parse(value);
      if (!cidr.ok()) return Fault(path, std::string(ToStd(cidr.status().message())));
      cidrs->push_back(*cidr);
      return true;
    }
    case Syntax::kIpSets:
      return ReadIpSet(value, path, clause);
    case Syntax::kPorts: {
      const std::optional<uint16_t> port = ParsePort(value);
      if (!port) return Fault(path, "\"" + value + "\": must be a port, 1..65535");
      clause->ports.push_back(*port);
      return true;
    }
    case Syntax::kPaths:
      return ReadPath(value, path, clause);
    case Syntax::kHosts:
      clause->strings.emplace_back(value, StringMatcher::Case::kIgnored);
      return true;
    case Syntax::kStrings:
      clause->strings.emplace_back(value);
      return true;
    case Syntax::kIdentity:
      return true;
  }
  return true;
}

bool Compiler::ReadPath(const std::string& value, const std::string& path, Clause* clause) {
  if (!PathTemplate::IsTemplate(value)) {
    clause->strings.emplace_back(value);
    return true;
  }
  std::string_view error;
  std::optional<PathTemplate> parsed = PathTemplate::Parse(value, &error);
  if (!parsed) return Fault(path, "\"" + value + "\": " + std::string(error));
  clause->templates.push_back(std::move(*parsed));
  return true;
}

bool Compiler::ReadIpSet(const std::string& value, const std::string& path, Clause* clause) {
  const bool is_qualified = value.find('/') != std::string::npos;
  const std::string name = is_qualified ? value : spec_.namespace_ + "/" + value;
  std::shared_ptr<const net::CidrSet> set = ip_sets_ ? ip_sets_(name) : nullptr;
  if (set == nullptr) return Fault(path, "there is no IpSet \"" + name + "\"");
  clause->addresses.ip_sets.push_back(std::move(set));
  return true;
}

void Compiler::ReadExpiry(CompiledPolicy* policy) {
  if (spec_.expires.empty()) return;
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, spec_.expires, &time, &error) ||
      time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
    Fault("spec.expires",
          "\"" + spec_.expires + "\": must be RFC 3339, such as 2026-12-31T18:00:00Z");
    return;
  }
  const auto expires =
      std::chrono::time_point_cast<std::chrono::microseconds>(absl::ToChronoTime(time));
  for (CompiledRule& rule : policy->rules) {
    rule.can_expire = true;
    rule.expires = expires;
  }
}

}  // namespace

CompiledPolicy CompilePolicy(const PolicySpec& spec, const IpSetLookup& ip_sets,
                             std::vector<std::string>* faults) {
  return Compiler(spec, ip_sets, faults).Run();
}

}  // namespace whence::policy
