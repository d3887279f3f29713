// Validate: rules between documents.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/document/document.h"
#include "common/document/edit_distance.h"
#include "common/document/fault_sink.h"
#include "common/document/kinds.h"
#include "common/document/values.h"
#include "common/net/ip_address.h"

namespace whence::document {
namespace {

using Labels = google::protobuf::Map<std::string, std::string>;

// Some workload could bear both: no label is wanted with two values.
bool CanBothSelect(const Labels& a, const Labels& b) {
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other != b.end() && other->second != value) return false;
  }
  return true;
}

class Validator {
 public:
  Validator(const std::vector<ParsedDocument>& changed, const std::vector<v1::Document>& whole)
      : whole_(whole) {
    for (const ParsedDocument& parsed : changed) {
      const auto [first, is_new] = changed_.emplace(Key(parsed.document), &parsed);
      if (!is_new) ReportTwice(*first->second, parsed);
    }
    for (const v1::Document& document : whole) by_key_[Key(document)] = &document;
  }

  Findings Run() {
    const v1::Document* mesh = nullptr;
    for (const v1::Document& document : whole_) {
      switch (document.spec_case()) {
        case v1::Document::kMesh:
          if (mesh != nullptr) {
            Fault(
                document, "",
                absl::StrCat("there is a Mesh already, ", DisplayName(*mesh), "; only one can be"));
          }
          mesh = &document;
          break;
        case v1::Document::kTrustTopology:
          CheckTopology(document);
          break;
        case v1::Document::kIpPolicy:
          CheckPolicy(document);
          break;
        case v1::Document::kVirtualService:
          CheckVirtualService(document);
          break;
        default:
          break;
      }
    }
    CheckTies();
    CheckGatewayPorts();
    return {sink_.TakeFaults(), sink_.TakeWarnings()};
  }

 private:
  // Points `sink_` at the document; gives the place of `path` in its file, if it is being changed.
  Location Point(const v1::Document& document, const std::string& path) {
    const auto found = changed_.find(Key(document));
    sink_.SetFile(found != changed_.end() ? found->second->file : "");
    sink_.SetDocument(DisplayName(document));
    return found != changed_.end() ? found->second->locations.Find(path) : Location{};
  }
  void Fault(const v1::Document& document, const std::string& path, std::string message) {
    const Location at = Point(document, path);
    sink_.Fault(at, path, std::move(message));
  }
  // Warnings are for who changes the document, not for everyone who changes another.
  void Warn(const v1::Document& document, const std::string& path, std::string message) {
    if (changed_.count(Key(document)) == 0) return;
    const Location at = Point(document, path);
    sink_.Warn(at, path, std::move(message));
  }

  void ReportTwice(const ParsedDocument& first, const ParsedDocument& second) {
    sink_.SetFile(second.file);
    sink_.SetDocument(DisplayName(second.document));
    const Location at = first.locations.Find("");
    sink_.Fault(second.locations.Find(""), "metadata.name",
                absl::StrCat("is given twice in one change; the first is ",
                             DisplayName(first.document), " at ", first.file, ":", at.line));
  }

  void CheckIpSets(const v1::Document& document,
                   const google::protobuf::RepeatedPtrField<std::string>& names,
                   const std::string& path) {
    for (int i = 0; i < names.size(); ++i) {
      const std::string name = QualifiedName(names[i], document.metadata().namespace_());
      if (by_key_.count("IpSet/" + name) != 0) continue;
      std::vector<std::string_view> known;
      for (const v1::Document& other : whole_) {
        if (other.has_ip_set()) known.push_back(other.metadata().name());
      }
      const std::string nearest = Nearest(names[i], known);
      Fault(document, absl::StrCat(path, "[", i, "]"),
            absl::StrCat("there is no IpSet ", name,
                         nearest.empty() || nearest == names[i]
                             ? "; apply it too, or name it as namespace/name"
                             : "; did you mean \"" + nearest + "\"?"));
    }
  }

  void CheckTopology(const v1::Document& document) {
    const v1::TrustTopologySpec& spec = document.trust_topology();
    CheckIpSets(document, spec.trusted_proxies().ip_sets(), "spec.trustedProxies.ipSets");
    CheckIpSets(document, spec.proxy_protocol().from().ip_sets(), "spec.proxyProtocol.from.ipSets");
  }

  void CheckPolicy(const v1::Document& document) {
    const v1::IpPolicySpec& spec = document.ip_policy();
    for (int r = 0; r < spec.rules_size(); ++r) {
      for (int f = 0; f < spec.rules(r).from_size(); ++f) {
        const v1::PolicySource& source = spec.rules(r).from(f).source();
        const std::string path = absl::StrCat("spec.rules[", r, "].from[", f, "].source.");
        CheckIpSets(document, source.ip_sets(), path + "ipSets");
        CheckIpSets(document, source.not_ip_sets(), path + "notIpSets");
        CheckIpSets(document, source.remote_ip_sets(), path + "remoteIpSets");
        CheckIpSets(document, source.not_remote_ip_sets(), path + "notRemoteIpSets");
      }
    }
  }

  void CheckVirtualService(const v1::Document& document) {
    const v1::VirtualServiceSpec& spec = document.virtual_service();
    for (int i = 0; i < spec.gateways_size(); ++i) {
      const std::string name = QualifiedName(spec.gateways(i), document.metadata().namespace_());
      if (spec.gateways(i) == "mesh" || by_key_.count("Gateway/" + name) != 0) continue;
      Warn(document, absl::StrCat("spec.gateways[", i, "]"),
           absl::StrCat("there is no Gateway ", name, " yet; until there is, nothing is routed"));
    }
    for (int r = 0; r < spec.http_size(); ++r) {
      for (int d = 0; d < spec.http(r).route_size(); ++d) {
        CheckSubset(document, spec.http(r).route(d),
                    absl::StrCat("spec.http[", r, "].route[", d, "]"));
      }
    }
    for (int r = 0; r < spec.tcp_size(); ++r) {
      for (int d = 0; d < spec.tcp(r).route_size(); ++d) {
        CheckSubset(document, spec.tcp(r).route(d),
                    absl::StrCat("spec.tcp[", r, "].route[", d, "]"));
      }
    }
  }

  // A subset that no rule has gets nothing: whoever names it should hear so.
  void CheckSubset(const v1::Document& document, const v1::RouteDestination& route,
                   const std::string& path) {
    const std::string& subset = route.destination().subset();
    if (subset.empty()) return;
    for (const v1::Document& other : whole_) {
      for (const auto& known : other.destination_rule().subsets()) {
        if (known.name() == subset) return;
      }
    }
    Warn(document, path + ".destination.subset",
         absl::StrCat("no DestinationRule has a subset \"", subset,
                      "\" yet; until one has, requests are answered with 503"));
  }

  // Of equally specific topologies none may win by accident. Only within a namespace: a workload's
  // own namespace comes before the root namespace, and others do not meet.
  void CheckTies() {
    std::map<std::string, std::vector<const v1::Document*>> by_namespace;
    for (const v1::Document& document : whole_) {
      if (!document.has_trust_topology()) continue;
      auto& neighbours = by_namespace[document.metadata().namespace_()];
      for (const v1::Document* other : neighbours) CheckTie(document, *other);
      neighbours.push_back(&document);
    }
  }

  void CheckTie(const v1::Document& a, const v1::Document& b) {
    const Labels& a_labels = a.trust_topology().selector().match_labels();
    const Labels& b_labels = b.trust_topology().selector().match_labels();
    if (a_labels.size() != b_labels.size() || !CanBothSelect(a_labels, b_labels)) return;
    // Reported where it can be mended: at the document that is being changed.
    const bool b_changes = changed_.count(Key(b)) != 0 && changed_.count(Key(a)) == 0;
    Fault(b_changes ? b : a, "spec.selector",
          absl::StrCat("ties with ", DisplayName(b_changes ? a : b),
                       ": a workload could match both selectors, which are equally specific; add "
                       "a label to one"));
  }

  // One port of a gateway speaks one protocol, even if two documents declare it.
  void CheckGatewayPorts() {
    std::vector<const v1::Document*> gateways;
    for (const v1::Document& document : whole_) {
      if (!document.has_gateway()) continue;
      for (const v1::Document* other : gateways) {
        if (CanBothSelect(document.gateway().selector(), other->gateway().selector())) {
          ComparePorts(document, *other);
        }
      }
      gateways.push_back(&document);
    }
  }

  void ComparePorts(const v1::Document& a, const v1::Document& b) {
    for (int i = 0; i < a.gateway().servers_size(); ++i) {
      const auto& port = a.gateway().servers(i).port();
      for (const v1::GatewayServer& server : b.gateway().servers()) {
        if (server.port().number() != port.number() ||
            server.port().protocol() == port.protocol()) {
          continue;
        }
        Fault(a, absl::StrCat("spec.servers[", i, "].port.protocol"),
              absl::StrCat("port ", port.number(), " is ", server.port().protocol(), " in ",
                           DisplayName(b), ", which can select the same gateway"));
      }
    }
  }

  const std::vector<v1::Document>& whole_;
  std::map<std::string, const ParsedDocument*> changed_;
  std::map<std::string, const v1::Document*> by_key_;
  FaultSink sink_;
};

}  // namespace

Findings Validate(const std::vector<ParsedDocument>& changed,
                  const std::vector<v1::Document>& whole_result) {
  return Validator(changed, whole_result).Run();
}

}  // namespace whence::document
