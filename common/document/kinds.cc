#include "common/document/kinds.h"

#include <iterator>

#include "common/base/strings.h"
#include "common/document/edit_distance.h"

namespace whence::document {
namespace {

using std::string_view;

constexpr string_view kWhence[] = {"whence.dev/v1"};
constexpr string_view kIstioSecurity[] = {"security.istio.io/v1", "security.istio.io/v1beta1"};
constexpr string_view kIstioNetworking[] = {"networking.istio.io/v1", "networking.istio.io/v1beta1",
                                            "networking.istio.io/v1alpha3"};
constexpr string_view kCore[] = {"v1"};

constexpr string_view kTopologyAliases[] = {"trusttopology", "trusttopologies", "topology",
                                            "topologies", "tt"};
constexpr string_view kPolicyAliases[] = {"ippolicy", "ippolicies", "policy", "policies", "ipp"};
constexpr string_view kAuthorizationAliases[] = {"authorizationpolicy", "authorizationpolicies",
                                                 "ap"};
constexpr string_view kIpSetAliases[] = {"ipset", "ipsets"};
constexpr string_view kMeshAliases[] = {"mesh", "meshes"};
constexpr string_view kGatewayAliases[] = {"gateway", "gateways", "gw"};
constexpr string_view kVirtualServiceAliases[] = {"virtualservice", "virtualservices", "vs"};
constexpr string_view kDestinationRuleAliases[] = {"destinationrule", "destinationrules", "dr"};
constexpr string_view kServiceEntryAliases[] = {"serviceentry", "serviceentries", "se"};
constexpr string_view kServiceAliases[] = {"service", "services", "svc"};

constexpr Kind kKinds[] = {
    {"TrustTopology", "TrustTopology", kWhence, kTopologyAliases, v1::Document::kTrustTopology},
    {"IpPolicy", "IpPolicy", kWhence, kPolicyAliases, v1::Document::kIpPolicy},
    {"AuthorizationPolicy", "IpPolicy", kIstioSecurity, kAuthorizationAliases,
     v1::Document::kIpPolicy},
    {"IpSet", "IpSet", kWhence, kIpSetAliases, v1::Document::kIpSet},
    {"Mesh", "Mesh", kWhence, kMeshAliases, v1::Document::kMesh},
    {"Gateway", "Gateway", kIstioNetworking, kGatewayAliases, v1::Document::kGateway},
    {"VirtualService", "VirtualService", kIstioNetworking, kVirtualServiceAliases,
     v1::Document::kVirtualService},
    {"DestinationRule", "DestinationRule", kIstioNetworking, kDestinationRuleAliases,
     v1::Document::kDestinationRule},
    {"ServiceEntry", "ServiceEntry", kIstioNetworking, kServiceEntryAliases,
     v1::Document::kServiceEntry},
    {"Service", "Service", kCore, kServiceAliases, v1::Document::kService},
};

}  // namespace

std::span<const Kind> AllKinds() { return kKinds; }

const Kind* FindKind(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

const Kind* FindKindByAlias(std::string_view typed) {
  for (const Kind& kind : kKinds) {
    for (const string_view alias : kind.aliases) {
      if (EqualsIgnoreCase(alias, typed)) return &kind;
    }
  }
  return nullptr;
}

std::string KeyKind(const v1::Document& document) {
  const Kind* kind = FindKind(document.kind());
  return kind != nullptr ? std::string(kind->key) : document.kind();
}

std::string DisplayName(const v1::Document& document) {
  return document.kind() + " " + document.metadata().namespace_() + "/" +
         document.metadata().name();
}

std::string Key(const v1::Document& document) {
  return KeyKind(document) + "/" + document.metadata().namespace_() + "/" +
         document.metadata().name();
}

std::string NearestKind(std::string_view written) {
  std::vector<string_view> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  return Nearest(written, names);
}

}  // namespace whence::document
