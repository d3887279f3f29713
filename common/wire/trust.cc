#include "common/wire/trust.h"

#include "common/base/strings.h"
#include "common/net/cidr.h"

namespace whence::wire {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

std::string Item(const std::string& path, int index) { return absl::StrCat(path, "[", index, "]"); }

void AddCidrs(const Strings& texts, const std::string& path, std::vector<net::Cidr>* cidrs,
              Faults* faults) {
  for (int i = 0; i < texts.size(); ++i) {
    const auto cidr = net::Cidr::Parse(texts[i]);
    if (cidr.ok()) {
      cidrs->push_back(*cidr);
    } else {
      faults->Add(Item(path, i), std::string(cidr.status().message()));
    }
  }
}

void AddAddresses(const Strings& texts, const std::string& path, std::vector<net::Cidr>* cidrs,
                  Faults* faults) {
  for (int i = 0; i < texts.size(); ++i) {
    if (const auto address = net::IpAddress::Parse(texts[i])) {
      cidrs->emplace_back(*address);
    } else {
      faults->Add(Item(path, i), absl::StrCat("\"", texts[i], "\" is no IP address"));
    }
  }
}

trust::AddressRanges ToRanges(const v1::AddressSources& sources, const Strings& live_addresses,
                              const std::string& path, const std::string& live_path,
                              const IpSetMap& ip_sets, Faults* faults) {
  trust::AddressRanges ranges;
  std::vector<net::Cidr> cidrs;
  AddCidrs(sources.cidrs(), path + ".cidrs", &cidrs, faults);
  AddAddresses(live_addresses, live_path, &cidrs, faults);
  ranges.cidrs = net::CidrSet(std::move(cidrs));
  for (int i = 0; i < sources.ip_sets_size(); ++i) {
    const auto found = ip_sets.find(sources.ip_sets(i));
    if (found == ip_sets.end() || found->second == nullptr) {
      faults->Add(Item(path + ".ip_sets", i),
                  absl::StrCat("there is no ip set \"", sources.ip_sets(i), "\""));
    } else {
      ranges.ip_sets.push_back(found->second);
    }
  }
  return ranges;
}

void SetClientAddressFrom(const std::string& from, trust::Topology* topology, Faults* faults) {
  if (from.empty() || from == "X_FORWARDED_FOR") {
    topology->client_address_from = trust::ClientAddressFrom::kForwardedFor;
  } else if (from == "FORWARDED") {
    topology->client_address_from = trust::ClientAddressFrom::kForwarded;
  } else {
    topology->client_address_from = trust::ClientAddressFrom::kHeader;
    for (const char c : from) {
      // A token of RFC 9110, to the extent that matters: it must be able to be a field's name.
      if (c <= ' ' || c == ':' || static_cast<unsigned char>(c) >= 0x7f) {
        faults->Add("trust.spec.client_address_from", "is no header name");
        return;
      }
      topology->client_address_header += ToLowerAscii(c);
    }
  }
}

void UnknownValue(const std::string& path, int value, Faults* faults) {
  faults->Add(path, absl::StrCat("unknown value ", value));
}

void SetForwardedFor(v1::ForwardedForMode mode, trust::Topology* topology, Faults* faults) {
  switch (mode) {
    case v1::FORWARDED_FOR_UNSPECIFIED:
      return;
    case v1::APPEND:
      topology->forwarded_for = trust::ForwardedForMode::kAppend;
      return;
    case v1::KEEP:
      topology->forwarded_for = trust::ForwardedForMode::kKeep;
      return;
    case v1::REPLACE:
      topology->forwarded_for = trust::ForwardedForMode::kReplace;
      return;
    default:
      UnknownValue("trust.spec.forwarded_for", mode, faults);
  }
}

void SetProxyProtocol(const v1::ProxyProtocolSettings& settings, const IpSetMap& ip_sets,
                      trust::Topology* topology, Faults* faults) {
  switch (settings.accept()) {
    case v1::ProxyProtocolSettings::ACCEPT_UNSPECIFIED:
      break;
    case v1::ProxyProtocolSettings::OFF:
      topology->proxy_accept = trust::ProxyAccept::kOff;
      break;
    case v1::ProxyProtocolSettings::OPTIONAL:
      topology->proxy_accept = trust::ProxyAccept::kOptional;
      break;
    case v1::ProxyProtocolSettings::REQUIRED:
      topology->proxy_accept = trust::ProxyAccept::kRequired;
      break;
    default:
      UnknownValue("trust.spec.proxy_protocol.accept", settings.accept(), faults);
  }
  switch (settings.send()) {
    case v1::ProxyProtocolSettings::Sending::SEND_UNSPECIFIED:
      break;
    case v1::ProxyProtocolSettings::Sending::OFF:
      topology->proxy_send = trust::ProxySend::kOff;
      break;
    case v1::ProxyProtocolSettings::Sending::V1:
      topology->proxy_send = trust::ProxySend::kV1;
      break;
    case v1::ProxyProtocolSettings::Sending::V2:
      topology->proxy_send = trust::ProxySend::kV2;
      break;
    case v1::ProxyProtocolSettings::Sending::AUTO:
      topology->proxy_send = trust::ProxySend::kAuto;
      break;
    default:
      UnknownValue("trust.spec.proxy_protocol.send", settings.send(), faults);
  }
  topology->proxy_from =
      ToRanges(settings.from(), {}, "trust.spec.proxy_protocol.from", "", ip_sets, faults);
}

void SetUpstreamSource(const v1::UpstreamSource& source, trust::Topology* topology,
                       Faults* faults) {
  switch (source.source()) {
    case v1::UpstreamSource::SOURCE_UNSPECIFIED:
      break;
    case v1::UpstreamSource::DIRECT_PEER:
      topology->upstream_source = trust::UpstreamSource::kDirectPeer;
      break;
    case v1::UpstreamSource::TRUSTED_CLIENT:
      topology->upstream_source = trust::UpstreamSource::kTrustedClient;
      break;
    case v1::UpstreamSource::AGENT:
      topology->upstream_source = trust::UpstreamSource::kAgent;
      break;
    default:
      UnknownValue("trust.spec.upstream_source.source", source.source(), faults);
  }
  switch (source.fallback()) {
    case v1::UpstreamSource::Failing::NONE:
      topology->upstream_fallback = trust::UpstreamFallback::kNone;
      break;
    case v1::UpstreamSource::Failing::AGENT:
      topology->upstream_fallback = trust::UpstreamFallback::kAgent;
      break;
    default:
      UnknownValue("trust.spec.upstream_source.fallback", source.fallback(), faults);
  }
}

trust::Role ToRole(v1::AgentRole role, Faults* faults) {
  const std::optional<trust::Role> known = RoleOf(role);
  if (!known) UnknownValue("role", role, faults);
  return known.value_or(trust::Role::kSidecar);
}

}  // namespace

std::optional<trust::Role> RoleOf(v1::AgentRole role) {
  switch (role) {
    case v1::SIDECAR:
      return trust::Role::kSidecar;
    case v1::GATEWAY:
      return trust::Role::kGateway;
    case v1::NODE:
      return trust::Role::kNode;
    default:
      return std::nullopt;
  }
}

trust::Topology ToTopology(const v1::TrustResource& resource, v1::AgentRole role,
                           const IpSetMap& ip_sets, Faults* faults) {
  const v1::TrustTopologySpec& spec = resource.spec();
  trust::Topology topology = trust::DefaultTopology(ToRole(role, faults));
  topology.source = resource.source();
  if (spec.has_num_trusted_proxies() && spec.has_trusted_proxies()) {
    faults->Add("trust.spec.trusted_proxies", "given together with num_trusted_proxies");
  }
  if (spec.has_num_trusted_proxies()) topology.num_trusted_proxies = spec.num_trusted_proxies();
  if (spec.has_trusted_proxies()) {
    // Set even if no range is in it: "trust these, of which none is there now" is not "no opinion".
    topology.trusted_proxies =
        ToRanges(spec.trusted_proxies(), resource.trusted_workloads(), "trust.spec.trusted_proxies",
                 "trust.trusted_workloads", ip_sets, faults);
  }
  if (spec.has_trust_mesh_gateways()) topology.trust_mesh_gateways = spec.trust_mesh_gateways();
  std::vector<net::Cidr> gateways;
  AddAddresses(resource.mesh_gateways(), "trust.mesh_gateways", &gateways, faults);
  topology.mesh_gateways = net::CidrSet(std::move(gateways));
  std::vector<net::Cidr> unproven;
  AddAddresses(resource.unproven_gateways(), "trust.unproven_gateways", &unproven, faults);
  topology.unproven_gateways = net::CidrSet(std::move(unproven));
  std::vector<net::Cidr> nodes;
  AddAddresses(resource.node_agents(), "trust.node_agents", &nodes, faults);
  topology.node_agents = net::CidrSet(std::move(nodes));
  SetClientAddressFrom(spec.client_address_from(), &topology, faults);
  SetForwardedFor(spec.forwarded_for(), &topology, faults);
  if (!spec.internal_cidrs().empty()) {
    std::vector<net::Cidr> internal;
    AddCidrs(spec.internal_cidrs(), "trust.spec.internal_cidrs", &internal, faults);
    topology.internal = net::CidrSet(std::move(internal));
  }
  SetProxyProtocol(spec.proxy_protocol(), ip_sets, &topology, faults);
  SetUpstreamSource(spec.upstream_source(), &topology, faults);
  return topology;
}

policy::PathNormalization ToPathNormalization(v1::PathNormalization value, Faults* faults) {
  switch (value) {
    case v1::NO_NORMALIZATION:
      return policy::PathNormalization::kNone;
    case v1::BASE:
      return policy::PathNormalization::kBase;
    case v1::MERGE_SLASHES:
      return policy::PathNormalization::kMergeSlashes;
    case v1::PATH_NORMALIZATION_UNSPECIFIED:
    case v1::DECODE_AND_MERGE_SLASHES:
      return policy::PathNormalization::kDecodeAndMergeSlashes;
    default:
      UnknownValue("mesh.path_normalization", value, faults);
      return policy::PathNormalization::kDecodeAndMergeSlashes;
  }
}

trust::ClientPrivacy ToClientPrivacy(const v1::AccessLogSettings& settings, Faults* faults) {
  using Mode = trust::ClientPrivacy::Mode;
  trust::ClientPrivacy privacy;
  if (settings.ipv4_prefix() > 0) privacy.v4_prefix = static_cast<int>(settings.ipv4_prefix());
  if (settings.ipv6_prefix() > 0) privacy.v6_prefix = static_cast<int>(settings.ipv6_prefix());
  if (settings.ipv4_prefix() > 32 || settings.ipv6_prefix() > 128) {
    faults->Add("mesh.access_log", "a prefix is longer than the address");
  }
  privacy.key = settings.hash_key();
  switch (settings.client_addresses()) {
    case v1::CLIENT_ADDRESS_PRIVACY_UNSPECIFIED:
    case v1::FULL:
      privacy.mode = Mode::kFull;
      break;
    case v1::TRUNCATE:
      privacy.mode = Mode::kTruncate;
      break;
    case v1::HASH:
      privacy.mode = Mode::kHash;
      if (privacy.key.empty()) faults->Add("mesh.access_log.hash_key", "is missing");
      break;
    default:
      UnknownValue("mesh.access_log.client_addresses", settings.client_addresses(), faults);
  }
  return privacy;
}

}  // namespace whence::wire
