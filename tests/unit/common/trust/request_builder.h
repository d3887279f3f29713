// A request as tests write it: header lines, identified, and everything borrowed kept alive.
#ifndef WHENCE_TESTS_UNIT_COMMON_TRUST_REQUEST_BUILDER_H_
#define WHENCE_TESTS_UNIT_COMMON_TRUST_REQUEST_BUILDER_H_

#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http/field_id.h"
#include "common/http/header_field.h"
#include "common/trust/resolver.h"

namespace whence::trust {

using Lines = std::vector<std::pair<std::string, std::string>>;

class Headers {
 public:
  Headers(const Lines& lines) {  // NOLINT: implicit, so that tables read well
    for (const auto& [name, value] : lines) {
      const std::string& kept_name = text_.emplace_back(name);
      const std::string& kept_value = text_.emplace_back(value);
      fields_.push_back({kept_name, kept_value});
      ids_.push_back(http::IdentifyField(kept_name));
    }
  }
  Headers(const Headers&) = delete;

  // As on a connection whose peer, if it is an agent, has proved it.
  Evidence evidence() const {
    return Evidence{.fields = fields_, .ids = ids_, .agent_word = AgentWord::kOwn};
  }
  const std::vector<http::HeaderField>& fields() const { return fields_; }

 private:
  std::deque<std::string> text_;  // grows without moving what it holds
  std::vector<http::HeaderField> fields_;
  std::vector<http::FieldId> ids_;
};

inline net::IpAddress Ip(std::string_view text) { return net::IpAddress::Parse(text).value(); }
inline net::DirectPeer Peer(std::string_view text) { return net::DirectPeer{{Ip(text), 40000}}; }

inline net::CidrSet Cidrs(std::initializer_list<const char*> texts) {
  std::vector<net::Cidr> cidrs;
  for (const char* text : texts) cidrs.push_back(*net::Cidr::Parse(text));
  return net::CidrSet(std::move(cidrs));
}

inline Topology Gateway(uint32_t trusted_proxies) {
  Topology topology = DefaultTopology(Role::kGateway);
  topology.num_trusted_proxies = trusted_proxies;
  return topology;
}

// A sidecar in a mesh whose gateway is 10.32.1.221.
inline Topology Sidecar() {
  Topology topology = DefaultTopology(Role::kSidecar);
  topology.mesh_gateways = Cidrs({"10.32.1.221"});
  return topology;
}

inline Topology Trusting(Role role, std::initializer_list<const char*> cidrs) {
  Topology topology = DefaultTopology(role);
  topology.trusted_proxies = AddressRanges{Cidrs(cidrs), {}};
  return topology;
}

}  // namespace whence::trust

#endif  // WHENCE_TESTS_UNIT_COMMON_TRUST_REQUEST_BUILDER_H_
