#include "common/trust/resolver.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/strings.h"
#include "common/trust/hop_chain.h"

namespace whence::trust {

// The only maker of TrustedClient (common/net/roles.h).
class TrustedClientFactory {
 public:
  static net::TrustedClient Make(const net::IpAddress& ip) { return net::TrustedClient(ip); }
};

namespace {

http::FieldId ChainId(ClientAddressFrom from) {
  return from == ClientAddressFrom::kForwarded ? http::FieldId::kForwarded
                                               : http::FieldId::kXForwardedFor;
}

// One resolution at work. Its answers are made by Answer() only, so that each carries what is
// common.
class Resolver {
 public:
  Resolver(const net::DirectPeer& peer, const Evidence& evidence, const Topology& topology,
           Trace* trace)
      : peer_(peer.address.ip),
        evidence_(evidence),
        topology_(topology),
        trace_(trace),
        nearest_(peer_) {}

  Resolution Run(const net::DirectPeer& peer);

 private:
  bool TakeProxySource(const net::DirectPeer& peer);
  std::optional<Resolution> FromGatewayVerdict();
  Resolution FromHops();
  Resolution FromCount(uint32_t position);
  Resolution FromRanges();
  Resolution FromHeader();

  bool IsTrustedHop(const net::IpAddress& ip) const {
    return topology_.IsMeshHop(ip) ||
           (topology_.trusted_proxies && topology_.trusted_proxies->Contains(ip));
  }
  // The same of the hop that spoke to us: an agent of the mesh is one only where it has proved to.
  bool IsNearestTrusted() const {
    const bool is_agent =
        topology_.IsMeshAgent(nearest_) && !proxy_used_ && evidence_.agent_word == AgentWord::kOwn;
    return is_agent || (topology_.trusted_proxies && topology_.trusted_proxies->Contains(nearest_));
  }
  std::string DescribeDistrust() const {
    return topology_.IsMeshAgent(nearest_)
               ? "an agent's address, but nothing proves that the agent speaks: the client"
               : "not trusted: the client";
  }
  bool WasForwarded() const;
  Resolution Answer(const net::IpAddress& client, Reason reason, size_t hop = 0) const;
  // The nearest hop itself, as nothing beyond it was asked or offered.
  Resolution Nearest() const {
    return Answer(nearest_, proxy_used_ ? Reason::kProxyProtocol : Reason::kDirectPeer);
  }

  // Both do nothing without a trace; the texts are made after that is known.
  void Note(std::string_view text, const std::optional<net::IpAddress>& address,
            std::string_view source, std::string_view judgement) const;
  void NoteEntry(std::string_view text, const std::optional<net::IpAddress>& address, size_t hop,
                 std::string_view judgement) const;
  void Judge(std::string_view judgement) const;
  std::string DescribeTrust(const net::IpAddress& ip) const;
  std::string DescribeHop(const net::IpAddress& ip) const;

  const net::IpAddress peer_;
  const Evidence& evidence_;
  const Topology& topology_;
  Trace* const trace_;
  net::IpAddress nearest_;
  bool proxy_used_ = false;
  bool peer_is_trusted_ = false;
};

Resolution Resolver::Run(const net::DirectPeer& peer) {
  if (trace_) Note(peer_.ToString(), peer_, "peer", "");
  if (TakeProxySource(peer) && topology_.role == Role::kSidecar && topology_.IsMeshAgent(peer_) &&
      evidence_.agent_word == AgentWord::kForClient) {
    // Our agent's verdict for a TCP connection. What the stream contains, HTTP or not, was written
    // by the client; it is not asked a second time.
    Judge("the client, as a gateway or node agent of the mesh found it");
    return Nearest();
  }
  if (std::optional<Resolution> verdict = FromGatewayVerdict()) return *verdict;
  return FromHops();
}

bool Resolver::TakeProxySource(const net::DirectPeer& peer) {
  if (!evidence_.proxy_source) return false;
  const net::IpAddress& source = evidence_.proxy_source->ip;
  const ProxyHeaderRule rule = ProxyHeaderRuleFor(topology_, peer);
  if (rule != ProxyHeaderRule::kOptional && rule != ProxyHeaderRule::kRequired) {
    Judge("its PROXY protocol header is not accepted");
    return false;
  }
  if (evidence_.agent_word != AgentWord::kForClient && !MaySendUnproven(topology_, peer)) {
    Judge("its PROXY protocol header has no proof that one of our agents wrote it");
    return false;
  }
  if (!source.is_unicast()) {
    Judge("its PROXY protocol header names no client address");
    return false;
  }
  Judge("may send PROXY protocol: the address it names is the nearest hop");
  if (trace_) Note(evidence_.proxy_source->ToString(), source, "proxy-protocol", "");
  nearest_ = source;
  proxy_used_ = true;
  return true;
}

// A sidecar takes the verdict from the kernel's peer only, and never behind a PROXY header: before
// TCP our agents send that, so the header would be the client's own words.
std::optional<Resolution> Resolver::FromGatewayVerdict() {
  if (topology_.role != Role::kSidecar || proxy_used_ || !topology_.IsMeshAgent(peer_) ||
      evidence_.agent_word != AgentWord::kOwn) {
    return std::nullopt;
  }
  std::optional<net::IpAddress> verdict;
  size_t lines = 0;
  for (size_t i = 0; i < evidence_.fields.size(); ++i) {
    if (evidence_.ids[i] != http::FieldId::kXWhenceClient) continue;
    verdict = net::IpAddress::Parse(evidence_.fields[i].value);
    if (verdict && !verdict->is_unicast()) verdict = std::nullopt;
    Judge("a gateway or node agent of the mesh: its verdict is taken");
    if (trace_) {
      Note(evidence_.fields[i].value, verdict, "x-whence-client",
           verdict ? "the client" : "no client address");
    }
    ++lines;
  }
  if (lines == 0) return std::nullopt;
  peer_is_trusted_ = true;
  if (lines > 1 || !verdict) return Answer(nearest_, Reason::kMalformedVerdict);
  return Answer(*verdict, Reason::kGatewayVerdict);
}

// Who is trusted here, and how its word is read: by position, by ranges, or not at all.
Resolution Resolver::FromHops() {
  const bool is_sidecar = topology_.role == Role::kSidecar;
  if (!is_sidecar && topology_.num_trusted_proxies) {
    peer_is_trusted_ = *topology_.num_trusted_proxies > 0;
    Judge(peer_is_trusted_ ? "trusted: proxies in front are counted"
                           : "the client: no proxy is trusted in front of this gateway");
    return peer_is_trusted_ ? FromCount(*topology_.num_trusted_proxies) : Nearest();
  }
  const bool asks_for_trust =
      is_sidecar || topology_.trusted_proxies || topology_.trust_mesh_gateways;
  if (!asks_for_trust) {
    Judge("the client: no proxy is trusted in front of this gateway");
    return Nearest();
  }
  peer_is_trusted_ = IsNearestTrusted();
  if (trace_) Judge(peer_is_trusted_ ? DescribeTrust(nearest_) : DescribeDistrust());
  if (!peer_is_trusted_) {
    return WasForwarded() && !proxy_used_ ? Answer(nearest_, Reason::kUntrustedPeer) : Nearest();
  }
  if (is_sidecar && !topology_.trusted_proxies) {
    // A sidecar's trusted peer is one hop more than a gateway counts.
    return FromCount(topology_.num_trusted_proxies.value_or(0) + 1);
  }
  return FromRanges();
}

Resolution Resolver::FromCount(uint32_t position) {
  if (topology_.client_address_from == ClientAddressFrom::kHeader) return FromHeader();
  HopChain chain(evidence_.fields, evidence_.ids, ChainId(topology_.client_address_from));
  for (uint32_t hop = 1; const std::optional<std::string_view> entry = chain.Next(); ++hop) {
    if (hop < position) {
      if (trace_) NoteEntry(*entry, chain.Parse(*entry), hop, "a counted proxy");
      continue;
    }
    const std::optional<net::IpAddress> client = chain.Parse(*entry);
    NoteEntry(*entry, client, hop,
              client ? "the client" : "no client address: the nearest hop is it");
    return client ? Answer(*client, Reason::kHop, hop) : Answer(nearest_, Reason::kMalformed, hop);
  }
  Judge("fewer entries than counted proxies: the nearest hop is the client");
  return Answer(nearest_, Reason::kTooShort);
}

Resolution Resolver::FromRanges() {
  if (topology_.client_address_from == ClientAddressFrom::kHeader) return FromHeader();
  HopChain chain(evidence_.fields, evidence_.ids, ChainId(topology_.client_address_from));
  net::IpAddress hop_at_hand = nearest_;
  size_t hop = 0;
  while (const std::optional<std::string_view> entry = chain.Next()) {
    ++hop;
    const std::optional<net::IpAddress> address = chain.Parse(*entry);
    if (!address) {
      NoteEntry(*entry, address, hop, "no client address: the nearest hop is the client");
      return Answer(nearest_, Reason::kMalformed, hop);
    }
    if (trace_) NoteEntry(*entry, address, hop, DescribeHop(*address));
    hop_at_hand = *address;
    if (!IsTrustedHop(hop_at_hand)) return Answer(hop_at_hand, Reason::kTrustedRange, hop);
  }
  if (hop == 0) return Nearest();
  Judge("the leftmost of trusted hops: the client");
  return Answer(hop_at_hand, Reason::kTrustedRange, hop);
}

// One address in one line. A second line is somebody's attempt, and there is no telling whose.
Resolution Resolver::FromHeader() {
  const http::HeaderField* found = nullptr;
  size_t lines = 0;
  for (const http::HeaderField& field : evidence_.fields) {
    if (!EqualsIgnoreCase(field.name, topology_.client_address_header)) continue;
    found = &field;
    ++lines;
  }
  if (lines == 0) {
    Judge("sent no client address header: the nearest hop is the client");
    return Answer(nearest_, Reason::kTooShort);
  }
  const std::optional<net::IpAddress> client =
      lines == 1 ? ParseForwardedForEntry(found->value) : std::nullopt;
  if (trace_) {
    Note(found->value, client, topology_.client_address_header,
         client      ? "the client"
         : lines > 1 ? "sent more than once: the nearest hop is the client"
                     : "no client address: the nearest hop is the client");
  }
  return client ? Answer(*client, Reason::kHeader) : Answer(nearest_, Reason::kMalformed);
}

bool Resolver::WasForwarded() const {
  for (size_t i = 0; i < evidence_.fields.size(); ++i) {
    const http::FieldId id = evidence_.ids[i];
    if (topology_.client_address_from == ClientAddressFrom::kHeader) {
      if (EqualsIgnoreCase(evidence_.fields[i].name, topology_.client_address_header)) return true;
    } else if (id == ChainId(topology_.client_address_from)) {
      return true;
    }
    if (id == http::FieldId::kXWhenceClient) return true;
  }
  return false;
}

Resolution Resolver::Answer(const net::IpAddress& client, Reason reason, size_t hop) const {
  constexpr size_t kMaxHop = std::numeric_limits<uint16_t>::max();
  return Resolution{.client = TrustedClientFactory::Make(client),
                    .reason = reason,
                    .source = topology_.client_address_from,
                    .hop = static_cast<uint16_t>(std::min(hop, kMaxHop)),
                    .peer_is_trusted = peer_is_trusted_,
                    .nearest_hop = nearest_};
}

void Resolver::Note(std::string_view text, const std::optional<net::IpAddress>& address,
                    std::string_view source, std::string_view judgement) const {
  if (!trace_) return;
  trace_->hops.push_back(
      TraceHop{std::string(text), address, std::string(source), std::string(judgement)});
}

void Resolver::NoteEntry(std::string_view text, const std::optional<net::IpAddress>& address,
                         size_t hop, std::string_view judgement) const {
  if (!trace_) return;
  std::string source = topology_.client_address_from == ClientAddressFrom::kForwarded
                           ? "forwarded["
                           : "x-forwarded-for[";
  source += std::to_string(hop) + "]";
  Note(text, address, source, judgement);
}

// Says (more) about the hop noted last.
void Resolver::Judge(std::string_view judgement) const {
  if (!trace_ || trace_->hops.empty()) return;
  std::string& text = trace_->hops.back().judgement;
  if (!text.empty()) text += "; ";
  text += judgement;
}

std::string Resolver::DescribeTrust(const net::IpAddress& ip) const {
  if (topology_.IsMeshAgent(ip)) return "trusted: a gateway or node agent of the mesh";
  if (topology_.trusted_proxies) {
    if (const auto range = topology_.trusted_proxies->LongestMatch(ip)) {
      return "trusted: in " + range->ToString();
    }
  }
  return "not trusted: the client";
}

std::string Resolver::DescribeHop(const net::IpAddress& ip) const {
  if (IsTrustedHop(ip) || !topology_.IsMeshAgent(ip)) return DescribeTrust(ip);
  return "not trusted: a gateway or node agent claims this address, and nothing proves it";
}

std::string_view SourceName(ClientAddressFrom source) {
  switch (source) {
    case ClientAddressFrom::kForwardedFor:
      return "xff";
    case ClientAddressFrom::kForwarded:
      return "forwarded";
    case ClientAddressFrom::kHeader:
      return "header";
  }
  return "";
}

}  // namespace

Resolution Resolve(const net::DirectPeer& peer, const Evidence& evidence, const Topology& topology,
                   Trace* trace) {
  return Resolver(peer, evidence, topology, trace).Run(peer);
}

size_t FormatReason(const Resolution& resolution, char* out) {
  size_t size = 0;
  const auto put = [&](std::string_view text) {
    std::memcpy(out + size, text.data(), text.size());
    size += text.size();
  };
  const std::string_view source = SourceName(resolution.source);
  switch (resolution.reason) {
    case Reason::kDirectPeer:
      put("direct-peer");
      break;
    case Reason::kProxyProtocol:
      put("proxy-protocol");
      break;
    case Reason::kHop:
      put(source);
      put("-hop-");
      size = static_cast<size_t>(
          std::to_chars(out + size, out + kMaxReasonText, resolution.hop).ptr - out);
      break;
    case Reason::kTrustedRange:
      put(source);
      put("-trusted-range");
      break;
    case Reason::kHeader:
      put("header");
      break;
    case Reason::kGatewayVerdict:
      put("gateway-verdict");
      break;
    case Reason::kUntrustedPeer:
      put("untrusted-peer");
      break;
    case Reason::kTooShort:
      put(source);
      put(resolution.source == ClientAddressFrom::kHeader ? "-missing" : "-too-short");
      break;
    case Reason::kMalformed:
      put(source);
      put("-malformed");
      break;
    case Reason::kMalformedVerdict:
      put("gateway-verdict-malformed");
      break;
  }
  return size;
}

std::string ReasonText(const Resolution& resolution) {
  char text[kMaxReasonText];
  return std::string(text, FormatReason(resolution, text));
}

}  // namespace whence::trust
