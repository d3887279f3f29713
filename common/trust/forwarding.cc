#include "common/trust/forwarding.h"

#include <algorithm>
#include <cstring>

#include "common/base/strings.h"
#include "common/trust/hop_chain.h"

namespace whence::trust {
namespace {

using http::FieldId;

constexpr std::string_view kEnvoyPrefix = "x-envoy-";

// Names after "x-envoy-", as Envoy's connection manager strips them: the first list at an edge, the
// second everywhere, and both from external requests only.
constexpr std::string_view kEdgeOnly[] = {
    "decorator-operation", "downstream-service-cluster", "downstream-service-node", "original-path",
    "original-host",
};
constexpr std::string_view kInternalOnly[] = {
    "retriable-status-codes",
    "retriable-header-names",
    "retry-on",
    "retry-grpc-on",
    "max-retries",
    "upstream-alt-stat-name",
    "upstream-rq-timeout-ms",
    "upstream-rq-per-try-timeout-ms",
    "upstream-rq-timeout-alt-response",
    "expected-rq-timeout-ms",
    "force-trace",
    "ip-tags",
    "original-url",
    "hedge-on-per-try-timeout",
};

template <typename Names>
bool Holds(const Names& names, std::string_view name) {
  return std::any_of(std::begin(names), std::end(names),
                     [&](std::string_view other) { return EqualsIgnoreCase(name, other); });
}

// Text put together in the caller's memory. Once something did not fit, nothing does.
class Scratch {
 public:
  explicit Scratch(std::span<char> memory) : memory_(memory) {}

  void Put(std::string_view text) {
    if (overflowed_ || text.size() > memory_.size() - used_) {
      overflowed_ = true;
      return;
    }
    if (!text.empty()) std::memcpy(memory_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  void Put(const net::IpAddress& ip) {
    char text[net::IpAddress::kMaxTextSize];
    Put(std::string_view(text, ip.Format(text)));
  }
  // What was put since the last call.
  std::string_view Take() {
    const std::string_view taken(memory_.data() + taken_, used_ - taken_);
    taken_ = used_;
    return taken;
  }
  bool empty() const { return used_ == taken_; }
  bool overflowed() const { return overflowed_; }

 private:
  std::span<char> memory_;
  size_t used_ = 0;
  size_t taken_ = 0;
  bool overflowed_ = false;
};

// An IPv4 address in IPv6 clothes. It is that client for every other purpose; but no honest proxy
// writes it so, and "internal" is a privilege.
bool IsMappedText(std::string_view entry) {
  const std::optional<net::IpAddress> address = ParseForwardedForEntry(entry);
  return address && address->is_v4() && entry.find(':') != entry.rfind(':');
}

// X_Client_IP for x-client-ip: applications that get headers as variables (CGI, WSGI) cannot tell
// the two apart.
bool IsAlias(std::string_view name, std::string_view of) {
  if (name.size() != of.size()) return false;
  bool differs = false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char a = ToLowerAscii(name[i]), b = ToLowerAscii(of[i]);
    if (a == b) continue;
    if ((a != '_' && a != '-') || (b != '_' && b != '-')) return false;
    differs = true;
  }
  return differs;
}

// One plan in the making.
class Planner {
 public:
  Planner(const Evidence& evidence, const Resolution& resolution, const Topology& topology,
          const ForwardingContext& context, std::span<char> memory)
      : evidence_(evidence),
        resolution_(resolution),
        topology_(topology),
        context_(context),
        scratch_(memory),
        is_gateway_(topology.role != Role::kSidecar),
        is_trusted_(resolution.peer_is_trusted) {}

  std::optional<Forwarding> Run();

 private:
  bool IsInternal() const;
  void JudgeField(size_t index);
  bool IsControlHeader(std::string_view name) const;
  bool MayNameVerdict() const;

  void AddForwardedFor();
  void AddForwarded();
  void AddProto();
  void AddRequestId();
  void AddEnvoyAndVerdict();

  bool Appends() const;
  net::IpAddress AppendedHop() const;
  void Drop(size_t index) { plan_.dropped.Add(index); }
  void DropAll(FieldId id);
  void Spoofed(size_t index) {
    Drop(index);
    ++plan_.spoof_attempts;
  }
  // The lines of `id` as one list, in order; lines without text add nothing.
  void PutJoined(FieldId id);
  std::string_view FirstValue(FieldId id) const;
  void Add(std::string_view name, std::string_view value) {
    plan_.added[plan_.added_count++] = http::HeaderField{name, value};
  }

  const Evidence& evidence_;
  const Resolution& resolution_;
  const Topology& topology_;
  const ForwardingContext& context_;
  Scratch scratch_;
  const bool is_gateway_;
  const bool is_trusted_;
  Forwarding plan_;
};

std::optional<Forwarding> Planner::Run() {
  if (evidence_.fields.size() > http::FieldSet::kCapacity) return std::nullopt;
  plan_.is_internal = IsInternal();
  for (size_t i = 0; i < evidence_.fields.size(); ++i) JudgeField(i);
  AddForwardedFor();
  AddForwarded();
  AddProto();
  AddRequestId();
  AddEnvoyAndVerdict();
  if (scratch_.overflowed()) return std::nullopt;
  return plan_;
}

// Internal at a gateway: an internal client that nobody forwarded. At a sidecar: an internal client
// that is all the forwarded list says, and the list comes from a trusted hop. Anything longer
// passed through more hands than the claim "internal" should.
bool Planner::IsInternal() const {
  if (!topology_.internal.Contains(resolution_.client.ip())) return false;
  if (is_gateway_) {
    for (size_t i = 0; i < evidence_.fields.size(); ++i) {
      const FieldId id = evidence_.ids[i];
      if (id == FieldId::kXForwardedFor) return false;
      if (id == FieldId::kForwarded &&
          topology_.client_address_from == ClientAddressFrom::kForwarded) {
        return false;
      }
    }
    return resolution_.reason != Reason::kHeader;
  }
  switch (resolution_.reason) {
    case Reason::kHop:
    case Reason::kTrustedRange:
    case Reason::kGatewayVerdict: {
      HopChain chain(evidence_.fields, evidence_.ids,
                     resolution_.source == ClientAddressFrom::kForwarded ? FieldId::kForwarded
                                                                         : FieldId::kXForwardedFor);
      const std::optional<std::string_view> sole = chain.Next();
      return is_trusted_ && sole && !chain.Next() && !IsMappedText(*sole);
    }
    default:
      return false;
  }
}

// The fields that are dropped for what they are. Those that are rewritten are dropped where their
// replacement is added.
void Planner::JudgeField(size_t index) {
  const std::string_view name = evidence_.fields[index].name;
  switch (evidence_.ids[index]) {
    case FieldId::kUnderscoreAlias:
    case FieldId::kXWhenceOther:
      return Spoofed(index);
    case FieldId::kXWhenceClient:
      return MayNameVerdict() ? Drop(index) : Spoofed(index);
    case FieldId::kXEnvoyInternal:
      return is_trusted_ ? Drop(index) : Spoofed(index);
    case FieldId::kXEnvoyExternalAddress:
      if (!is_trusted_) return Spoofed(index);
      if (is_gateway_) return Drop(index);
      if (plan_.external_address.empty()) plan_.external_address = evidence_.fields[index].value;
      return;
    case FieldId::kXForwardedClientCert:  // an identity: nobody but a trusted hop has checked it
      if (!is_trusted_) Spoofed(index);
      return;
    case FieldId::kXEnvoyOther:
      if (!plan_.is_internal && IsControlHeader(name.substr(kEnvoyPrefix.size()))) Drop(index);
      return;
    case FieldId::kXForwardedHost:
    case FieldId::kXForwardedOther:
    case FieldId::kXRealIp:
    case FieldId::kOther:
      break;
    default:
      return;
  }
  if (topology_.client_address_from == ClientAddressFrom::kHeader) {
    const std::string_view own = topology_.client_address_header;
    if (IsAlias(name, own) || (!is_trusted_ && EqualsIgnoreCase(name, own))) return Spoofed(index);
  }
  if (evidence_.ids[index] == FieldId::kOther) {
    const auto& internal = topology_.internal_only_headers;
    if (!plan_.is_internal &&
        std::any_of(internal.begin(), internal.end(), [name](std::string_view only) {
          return EqualsIgnoreCase(name, only) || IsAlias(name, only);
        })) {
      Drop(index);
    }
  } else if (is_gateway_ && !is_trusted_) {
    Drop(index);
  }
}

bool Planner::IsControlHeader(std::string_view name) const {
  return Holds(kInternalOnly, name) || (is_gateway_ && Holds(kEdgeOnly, name));
}

bool Planner::MayNameVerdict() const {
  return resolution_.reason == Reason::kGatewayVerdict ||
         resolution_.reason == Reason::kMalformedVerdict;
}

void Planner::AddForwardedFor() {
  if (topology_.forwarded_for == ForwardedForMode::kReplace) {
    DropAll(FieldId::kXForwardedFor);
    if (resolution_.client.ip().is_unicast()) scratch_.Put(resolution_.client.ip());
  } else if (Appends()) {
    DropAll(FieldId::kXForwardedFor);
    PutJoined(FieldId::kXForwardedFor);
    if (!scratch_.empty()) scratch_.Put(",");
    scratch_.Put(AppendedHop());
  }
  if (!scratch_.empty()) Add("x-forwarded-for", scratch_.Take());
}

// Forwarded is written only where the topology reads it. Elsewhere we are no party to it: at an
// untrusted edge it is dropped, since the hop it would claim to follow is not ours to vouch for.
void Planner::AddForwarded() {
  const bool is_source = topology_.client_address_from == ClientAddressFrom::kForwarded;
  if (topology_.forwarded_for == ForwardedForMode::kReplace) {
    DropAll(FieldId::kForwarded);
    if (!is_source || !resolution_.client.ip().is_unicast()) return;
  } else if (is_source && Appends()) {
    DropAll(FieldId::kForwarded);
    PutJoined(FieldId::kForwarded);
    if (!scratch_.empty()) scratch_.Put(",");
  } else {
    if (!is_source && is_gateway_ && !is_trusted_) DropAll(FieldId::kForwarded);
    return;
  }
  const net::IpAddress node = topology_.forwarded_for == ForwardedForMode::kReplace
                                  ? resolution_.client.ip()
                                  : AppendedHop();
  scratch_.Put(node.is_v4() ? "for=" : "for=\"[");
  scratch_.Put(node);
  scratch_.Put(node.is_v4() ? "" : "]\"");
  Add("forwarded", scratch_.Take());
}

void Planner::AddProto() {
  const bool is_ours =
      !is_trusted_ && (is_gateway_ || topology_.forwarded_for == ForwardedForMode::kReplace);
  if (!is_ours && !FirstValue(FieldId::kXForwardedProto).empty()) return;
  DropAll(FieldId::kXForwardedProto);
  Add("x-forwarded-proto", context_.downstream_tls ? "https" : "http");
}

// At the edge an id from outside is replaced: it could be guessed or repeated on purpose, to hide
// in another request's traces.
void Planner::AddRequestId() {
  const std::string_view received = FirstValue(FieldId::kXRequestId);
  const bool is_edge = is_gateway_ && !plan_.is_internal && !topology_.preserve_request_id;
  if (!received.empty() && !is_edge) {
    plan_.request_id = received;
    return;
  }
  plan_.request_id_fate = received.empty() ? RequestIdFate::kGenerated : RequestIdFate::kReplaced;
  plan_.request_id = context_.fresh_request_id;
  DropAll(FieldId::kXRequestId);
  if (!plan_.request_id.empty()) Add("x-request-id", plan_.request_id);
}

void Planner::AddEnvoyAndVerdict() {
  const net::IpAddress& client = resolution_.client.ip();
  if (plan_.is_internal) Add("x-envoy-internal", "true");
  if (!is_gateway_ || !client.is_unicast()) return;
  if (!plan_.is_internal) {
    scratch_.Put(client);
    plan_.external_address = scratch_.Take();
    Add("x-envoy-external-address", plan_.external_address);
  }
  if (context_.endpoint_has_sidecar) {
    scratch_.Put(client);
    Add("x-whence-client", scratch_.Take());
  }
}

// KEEP has one exception, and it is Envoy's: where trust goes by ranges, an untrusted hop is
// appended all the same, so that a reader of the list finds the stranger in it.
bool Planner::Appends() const {
  if (!AppendedHop().is_unicast()) return false;
  if (topology_.forwarded_for == ForwardedForMode::kAppend) return true;
  return topology_.forwarded_for == ForwardedForMode::kKeep &&
         topology_.trusted_proxies.has_value() && !is_trusted_;
}

// 127.0.0.1 says nothing to the next hop; the agent's own address does.
net::IpAddress Planner::AppendedHop() const {
  const net::IpAddress& hop = resolution_.nearest_hop;
  constexpr net::IpAddress::Bytes kV6Loopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const bool is_loopback =
      hop == net::IpAddress::FromV4({127, 0, 0, 1}) || hop == net::IpAddress::FromV6(kV6Loopback);
  return is_loopback && context_.own_address.is_unicast() ? context_.own_address : hop;
}

void Planner::DropAll(FieldId id) {
  for (size_t i = 0; i < evidence_.ids.size(); ++i) {
    if (evidence_.ids[i] == id) Drop(i);
  }
}

void Planner::PutJoined(FieldId id) {
  for (size_t i = 0; i < evidence_.ids.size(); ++i) {
    if (evidence_.ids[i] != id || evidence_.fields[i].value.empty()) continue;
    if (!scratch_.empty()) scratch_.Put(",");
    scratch_.Put(evidence_.fields[i].value);
  }
}

std::string_view Planner::FirstValue(FieldId id) const {
  for (size_t i = 0; i < evidence_.ids.size(); ++i) {
    if (evidence_.ids[i] == id && !evidence_.fields[i].value.empty()) {
      return evidence_.fields[i].value;
    }
  }
  return {};
}

}  // namespace

std::optional<Forwarding> PlanForwarding(const Evidence& evidence, const Resolution& resolution,
                                         const Topology& topology, const ForwardingContext& context,
                                         std::span<char> memory) {
  return Planner(evidence, resolution, topology, context, memory).Run();
}

}  // namespace whence::trust
