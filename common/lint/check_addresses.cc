// Addresses in policies: what lists hold twice, and what they forget.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/document/ip_set.h"
#include "common/document/values.h"
#include "common/lint/report.h"
#include "common/net/cidr_set.h"

namespace whence::lint {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

// A longer list is a feed pasted into a policy; nobody mends it by hand.
constexpr int kReadable = 2000;

std::vector<net::Cidr> Parsed(const Texts& texts) {
  std::vector<net::Cidr> cidrs;
  for (const std::string& text : texts) {
    if (const auto cidr = net::Cidr::Parse(text); cidr.ok()) cidrs.push_back(*cidr);
  }
  return cidrs;
}

// ---- Overlap ----

void CheckOverlap(const Texts& texts, const std::string& path, Report& report) {
  if (texts.size() > kReadable) return;
  std::map<net::Cidr, int> sorted;  // an enclosing range comes before what it encloses
  const std::vector<net::Cidr> cidrs = Parsed(texts);
  if (cidrs.size() != static_cast<size_t>(texts.size())) return;
  for (size_t i = 0; i < cidrs.size(); ++i) {
    const auto [first, is_new] = sorted.emplace(cidrs[i], static_cast<int>(i));
    if (!is_new) {
      report.Warn(absl::StrCat(path, "[", i, "]"),
                  absl::StrCat("\"", texts[static_cast<int>(i)], "\" stands in this list twice"));
    }
  }
  const net::Cidr* enclosing = nullptr;
  for (const auto& [cidr, index] : sorted) {
    if (enclosing != nullptr && enclosing->Contains(cidr.network())) {
      report.Warn(absl::StrCat(path, "[", index, "]"),
                  absl::StrCat("\"", texts[index], "\" lies within ", enclosing->ToString(),
                               " of the same list: it adds nothing"));
    } else {
      enclosing = &cidr;
    }
  }
}

// ---- Two families ----

// Which families a policy speaks of, in one kind of address (the peer's, or the client's).
struct Families {
  bool v4 = false, v6 = false;
  std::string first_v4_path;
};

void Note(const Texts& texts, const std::string& path, Families* families) {
  for (const net::Cidr& cidr : Parsed(texts)) {
    (cidr.is_v4() ? families->v4 : families->v6) = true;
  }
  if (families->v4 && families->first_v4_path.empty()) families->first_v4_path = path;
}

void NoteSets(const Whole& whole, const std::string& space, const Texts& names,
              const std::string& path, Families* families) {
  for (const std::string& reference : names) {
    const std::string name = document::QualifiedName(reference, space);
    for (const v1::Document& document : whole.documents) {
      if (!document.has_ip_set() ||
          absl::StrCat(document.metadata().namespace_(), "/", document.metadata().name()) != name) {
        continue;
      }
      const net::PackedCidrs content = document::ContentOf(document.ip_set());
      families->v4 = families->v4 || !content.v4.empty();
      families->v6 = families->v6 || !content.v6.empty();
    }
    if (families->v4 && families->first_v4_path.empty()) families->first_v4_path = path;
  }
}

void WarnOfOneFamily(const Families& families, Report& report) {
  if (!families.v4 || families.v6) return;
  report.Warn(families.first_v4_path,
              "denies IPv4 only, but IPv6 is served: the same client may come over IPv6; add its "
              "IPv6 ranges, or deny ::/0");
}

void CheckFamilies(const Whole& whole, Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  if (!whole.serves_ipv6 || spec.action() != v1::IpPolicySpec::DENY) return;
  const std::string& space = report.document().metadata().namespace_();
  Families peer, client;
  for (int r = 0; r < spec.rules_size(); ++r) {
    const v1::PolicyRule& rule = spec.rules(r);
    const std::string at = absl::StrCat("spec.rules[", r, "]");
    for (int f = 0; f < rule.from_size(); ++f) {
      const v1::PolicySource& source = rule.from(f).source();
      const std::string path = absl::StrCat(at, ".from[", f, "].source.");
      Note(source.ip_blocks(), path + "ipBlocks", &peer);
      Note(source.remote_ip_blocks(), path + "remoteIpBlocks", &client);
      NoteSets(whole, space, source.ip_sets(), path + "ipSets", &peer);
      NoteSets(whole, space, source.remote_ip_sets(), path + "remoteIpSets", &client);
    }
    for (int w = 0; w < rule.when_size(); ++w) {
      const v1::PolicyCondition& condition = rule.when(w);
      const std::string path = absl::StrCat(at, ".when[", w, "].values");
      if (condition.key() == "source.ip") Note(condition.values(), path, &peer);
      if (condition.key() == "remote.ip") Note(condition.values(), path, &client);
    }
  }
  WarnOfOneFamily(peer, report);
  WarnOfOneFamily(client, report);
}

// ---- Remote to whom? ----

bool TrustsSomebody(const v1::TrustTopologySpec& spec) {
  const auto accept = spec.proxy_protocol().accept();
  return spec.num_trusted_proxies() > 0 || spec.has_trusted_proxies() ||
         accept == v1::ProxyProtocolSettings::OPTIONAL ||
         accept == v1::ProxyProtocolSettings::REQUIRED;
}

// Whether any workload that the policy selects may have somebody in front whose word is taken.
bool MayTrustSomebody(const Whole& whole, const v1::Document& policy) {
  const std::string& space = policy.metadata().namespace_();
  const Labels& selector = policy.ip_policy().selector().match_labels();
  bool is_for_gateway = false;
  bool has_gateways = whole.surroundings.has_mesh_gateways;
  for (const v1::Document& document : whole.documents) {
    if (document.has_trust_topology() && TrustsSomebody(document.trust_topology()) &&
        CanMeet(whole, space, selector, document.metadata().namespace_(),
                document.trust_topology().selector().match_labels())) {
      return true;
    }
    if (!document.has_gateway()) continue;
    has_gateways = true;
    is_for_gateway = is_for_gateway || (!document.gateway().selector().empty() &&
                                        Includes(selector, document.gateway().selector()));
  }
  // Sidecars believe connected gateways by themselves; a gateway believes nobody.
  return has_gateways && !is_for_gateway;
}

void CheckRemote(const Whole& whole, Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  const auto warn = [&](const std::string& path, std::string_view instead) {
    report.Warn(path,
                absl::StrCat("looks at the trusted client, but for these workloads no proxy is "
                             "trusted, so that is the direct peer: write a TrustTopology, or ",
                             std::string(instead)));
  };
  if (MayTrustSomebody(whole, report.document())) return;
  for (int r = 0; r < spec.rules_size(); ++r) {
    for (int f = 0; f < spec.rules(r).from_size(); ++f) {
      const v1::PolicySource& source = spec.rules(r).from(f).source();
      const std::string path = absl::StrCat("spec.rules[", r, "].from[", f, "].source.");
      if (!source.remote_ip_blocks().empty()) return warn(path + "remoteIpBlocks", "ipBlocks");
      if (!source.not_remote_ip_blocks().empty()) {
        return warn(path + "notRemoteIpBlocks", "notIpBlocks");
      }
      if (!source.remote_ip_sets().empty()) return warn(path + "remoteIpSets", "ipSets");
      if (!source.not_remote_ip_sets().empty()) return warn(path + "notRemoteIpSets", "notIpSets");
    }
    for (int w = 0; w < spec.rules(r).when_size(); ++w) {
      if (spec.rules(r).when(w).key() == "remote.ip") {
        return warn(absl::StrCat("spec.rules[", r, "].when[", w, "].key"), "source.ip");
      }
    }
  }
}

}  // namespace

void CheckAddresses(const Whole& whole, Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  for (int r = 0; r < spec.rules_size(); ++r) {
    for (int f = 0; f < spec.rules(r).from_size(); ++f) {
      const v1::PolicySource& source = spec.rules(r).from(f).source();
      const std::string path = absl::StrCat("spec.rules[", r, "].from[", f, "].source.");
      CheckOverlap(source.ip_blocks(), path + "ipBlocks", report);
      CheckOverlap(source.not_ip_blocks(), path + "notIpBlocks", report);
      CheckOverlap(source.remote_ip_blocks(), path + "remoteIpBlocks", report);
      CheckOverlap(source.not_remote_ip_blocks(), path + "notRemoteIpBlocks", report);
    }
  }
  CheckFamilies(whole, report);
  CheckRemote(whole, report);
}

}  // namespace whence::lint
