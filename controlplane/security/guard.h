// Stands before every call on the mTLS listener and lets through who belongs.
//
// TLS has proven by then that the peer holds a certificate of our CA. The guard asks the rest: does
// the certificate name somebody of our trust domain, and may that somebody call this method
// (method_table.h)? What a method then shows of whose workload is the service's matter; it asks
// PeerOf for the same identity.
#ifndef WHENCE_CONTROLPLANE_SECURITY_GUARD_H_
#define WHENCE_CONTROLPLANE_SECURITY_GUARD_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/auth_metadata_processor.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/net/ip_address.h"
#include "controlplane/security/certificate.h"
#include "controlplane/security/identity.h"
#include "controlplane/security/refusals.h"

namespace whence::security {

struct Peer {
  // False: a plaintext connection, which is from this machine unless the operator chose otherwise.
  // Nothing is known of who it is and nothing is forbidden to it.
  bool has_certificate = false;
  std::string name;                  // as far as the certificate says; for records
  std::optional<Identity> identity;  // nullopt, with a certificate: it names nobody
};

// `context` may be null (no connection security at all).
Peer PeerOf(const grpc::AuthContext* context);

// The certificate of the connection; nullopt without one.
std::optional<CertificateInfo> CertificateOf(const grpc::AuthContext* context);

// The address in gRPC's name of a peer ("ipv4:10.0.0.5:41234", "ipv6:%5B2001:db8::5%5D:41234");
// nullopt: it has none that others could see (a unix socket, a link's own).
std::optional<net::IpAddress> AddressOfPeer(std::string_view peer);

// Pure: may `peer` call `path`? Empty: yes. Else why not, for the caller and the record.
std::string WhyNot(const Peer& peer, std::string_view path, std::string_view trust_domain);

// Thread-safe.
class Guard final : public grpc::AuthMetadataProcessor {
 public:
  // `refusals` must outlive the server that has this guard.
  Guard(std::string trust_domain, Refusals& refusals)
      : trust_domain_(std::move(trust_domain)), refusals_(refusals) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  const std::string trust_domain_;
  Refusals& refusals_;
};

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_GUARD_H_
