#include "controlplane/security/guard.h"

#include <grpc/grpc_security_constants.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/strings.h"
#include "common/net/socket_address.h"
#include "controlplane/security/method_table.h"

namespace whence::security {
namespace {

// The only value of a property; empty if there is none, or if there are several.
std::string Only(const grpc::AuthContext& context, const char* property) {
  std::vector<grpc::string_ref> values = context.FindPropertyValues(property);
  return values.size() == 1 ? std::string(values[0].data(), values[0].size()) : std::string();
}

}  // namespace

Peer PeerOf(const grpc::AuthContext* context) {
  Peer peer;
  if (context == nullptr) return peer;
  peer.has_certificate = !context->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME).empty();
  if (!peer.has_certificate) return peer;
  // gRPC sets this only for a certificate with a single, well-formed SPIFFE URI.
  std::string uri = Only(*context, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
  peer.identity = ParseIdentity(uri);
  peer.name = uri;
  if (peer.name.empty()) {
    std::string common_name = Only(*context, GRPC_X509_CN_PROPERTY_NAME);
    peer.name = "a certificate without SPIFFE ID" +
                (common_name.empty() ? std::string() : ", CN " + common_name);
  }
  return peer;
}

std::optional<CertificateInfo> CertificateOf(const grpc::AuthContext* context) {
  if (context == nullptr) return std::nullopt;
  absl::StatusOr<std::vector<CertificateInfo>> certificates =
      ParseCertificates(Only(*context, GRPC_X509_PEM_CERT_PROPERTY_NAME));
  if (!certificates.ok()) return std::nullopt;
  return (*std::move(certificates))[0];
}

std::optional<net::IpAddress> AddressOfPeer(std::string_view peer) {
  for (const std::string_view scheme : {"ipv4:", "ipv6:"}) {
    if (!peer.starts_with(scheme)) continue;
    std::string text(peer.substr(scheme.size()));
    absl::StrReplaceAll({{"%5B", "["}, {"%5D", "]"}}, &text);
    const auto address = net::SocketAddress::Parse(text);
    return address ? std::optional(address->ip) : std::nullopt;
  }
  return std::nullopt;
}

std::string WhyNot(const Peer& peer, std::string_view path, std::string_view trust_domain) {
  if (!peer.identity) {
    return absl::StrCat(
        "the certificate names nobody: its one URI must be spiffe://", ToAbsl(trust_domain),
        "/ns/NAMESPACE/workload/NAME (workloads, gateway, gateways, node, nodes) or "
        "…/operator/NAME/role/viewer|editor: issue it with whencectl certs issue");
  }
  if (peer.identity->trust_domain != trust_domain) {
    return absl::StrCat("the certificate is of trust domain \"", peer.identity->trust_domain,
                        "\", and this control plane of \"", ToAbsl(trust_domain), "\"");
  }
  std::optional<Audience> audience = AudienceOf(path);
  if (!audience) return absl::StrCat(ToAbsl(path), " is open to nobody");
  if (Belongs(peer.identity->kind, *audience)) return "";
  return absl::StrCat(ToAbsl(path), " is for ", ToAbsl(NameOf(*audience)), ", and this is ",
                      peer.name);
}

grpc::Status Guard::Process(const InputMetadata& metadata, grpc::AuthContext* context,
                            OutputMetadata*, OutputMetadata*) {
  auto found = metadata.find(":path");
  std::string path =
      found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  Peer peer = PeerOf(context);
  std::string reason = WhyNot(peer, path, trust_domain_);
  if (reason.empty()) return grpc::Status::OK;
  refusals_.Record({.peer = peer.name, .address = "", .method = path, .reason = reason});
  return {grpc::StatusCode::PERMISSION_DENIED, reason};
}

}  // namespace whence::security
