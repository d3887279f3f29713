// The trusted client. Invariants: the walk from the right answers as a naive reading of the whole
// list does; what a stranger puts in front changes nothing; a trace changes nothing; and the next
// hop, which counts one proxy more, finds the same client in what we forward.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/trust/forwarding.h"
#include "common/trust/hop_chain.h"
#include "common/trust/resolver.h"

namespace {

using namespace whence;
using namespace whence::trust;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

net::IpAddress Ip(std::string_view text) { return net::IpAddress::Parse(text).value(); }

net::CidrSet Cidrs(std::initializer_list<std::string_view> texts) {
  std::vector<net::Cidr> cidrs;
  for (const std::string_view text : texts) cidrs.push_back(*net::Cidr::Parse(text));
  return net::CidrSet(std::move(cidrs));
}

struct Request {
  Request(std::string_view name, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      fields.push_back({name, value});
      ids.push_back(http::IdentifyField(name));
    }
  }
  Evidence evidence() const {
    return Evidence{.fields = fields, .ids = ids, .agent_word = AgentWord::kOwn};
  }

  std::vector<http::HeaderField> fields;
  std::vector<http::FieldId> ids;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

// All entries, leftmost first: what the chain must read backwards.
std::vector<std::string> AllEntries(const std::vector<std::string>& lines) {
  std::vector<std::string> entries;
  for (const std::string& line : lines) {
    if (IsBlank(line)) continue;
    for (std::string& entry : Split(line, ',')) entries.push_back(std::move(entry));
  }
  return entries;
}

net::IpAddress NaiveCount(const std::vector<std::string>& entries, size_t count,
                          const net::IpAddress& peer) {
  if (entries.size() < count) return peer;
  return ParseForwardedForEntry(entries[entries.size() - count]).value_or(peer);
}

net::IpAddress NaiveWalk(const std::vector<std::string>& entries, const net::CidrSet& trusted,
                         const net::IpAddress& peer) {
  net::IpAddress client = peer;
  for (size_t i = entries.size(); trusted.Contains(client) && i-- > 0;) {
    const auto address = ParseForwardedForEntry(entries[i]);
    if (!address) return peer;
    client = *address;
  }
  return client;
}

// Resolves with and without a trace, and in front of a claim.
Resolution ResolveAll(const net::DirectPeer& peer, std::string_view name,
                      std::vector<std::string> lines, const Topology& topology) {
  const Request request(name, lines);
  const Resolution resolution = Resolve(peer, request.evidence(), topology);
  Trace trace;
  REQUIRE(Resolve(peer, request.evidence(), topology, &trace).client == resolution.client);
  REQUIRE(resolution.client.ip().is_unicast());
  char reason[kMaxReasonText];
  REQUIRE(FormatReason(resolution, reason) <= kMaxReasonText);

  const bool stopped_at_a_stranger = resolution.reason == Reason::kHop ||
                                     resolution.reason == Reason::kMalformed ||
                                     (resolution.reason == Reason::kTrustedRange &&
                                      !topology.trusted_proxies->Contains(resolution.client.ip()));
  if (stopped_at_a_stranger) {
    lines.insert(lines.begin(), {"for=6.6.6.6", "6.6.6.6,\",junk"});
    const Request padded(name, lines);
    REQUIRE(Resolve(peer, padded.evidence(), topology).client == resolution.client);
  }
  return resolution;
}

void CheckForwarding(const net::DirectPeer& peer, const std::vector<std::string>& lines,
                     const Topology& topology, const Resolution& resolution) {
  const Request request("x-forwarded-for", lines);
  size_t bytes = 0;
  for (const std::string& line : lines) bytes += line.size() + 19;
  std::vector<char> memory(ForwardingMemory(bytes));
  const auto plan = PlanForwarding(request.evidence(), resolution, topology, {}, memory);
  if (lines.size() > http::FieldSet::kCapacity) {
    REQUIRE(!plan);
    return;
  }
  REQUIRE(plan);
  std::vector<std::string> upstream;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!plan->dropped.Contains(i)) upstream.push_back(lines[i]);
  }
  for (const http::HeaderField& field : plan->Added()) {
    if (field.name == "x-forwarded-for") upstream.emplace_back(field.value);
  }
  Topology next = topology;
  next.num_trusted_proxies = *topology.num_trusted_proxies + 1;
  const Request forwarded("x-forwarded-for", upstream);
  const net::DirectPeer us{{Ip("10.0.0.9"), 1}};
  if (resolution.reason == Reason::kHop) {
    REQUIRE(Resolve(us, forwarded.evidence(), next).client == resolution.client);
  }
  next.num_trusted_proxies = 1;
  REQUIRE(Resolve(us, forwarded.evidence(), next).client.ip() == peer.address.ip);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t count = data[0] % 8;
  std::vector<std::string> lines =
      Split(std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1), '\n');
  const std::vector<std::string> entries = AllEntries(lines);
  const net::DirectPeer peer{{Ip("192.0.2.9"), 1}};

  Topology counting = DefaultTopology(Role::kGateway);
  counting.num_trusted_proxies = count;
  const Resolution counted = ResolveAll(peer, "x-forwarded-for", lines, counting);
  if (count > 0) {
    REQUIRE(counted.client.ip() == NaiveCount(entries, count, peer.address.ip));
  } else {
    REQUIRE(counted.client.ip() == peer.address.ip);
  }
  CheckForwarding(peer, lines, counting, counted);

  Topology walking = DefaultTopology(Role::kSidecar);
  walking.trusted_proxies =
      AddressRanges{Cidrs({"192.0.2.0/24", "1.0.0.0/8", "2001:db8::/32"}), {}};
  const Resolution walked = ResolveAll(peer, "X-Forwarded-For", lines, walking);
  REQUIRE(walked.client.ip() ==
          NaiveWalk(entries, walking.trusted_proxies->cidrs, peer.address.ip));

  counting.client_address_from = ClientAddressFrom::kForwarded;
  ResolveAll(peer, "forwarded", lines, counting);
  walking.client_address_from = ClientAddressFrom::kForwarded;
  ResolveAll(peer, "forwarded", std::move(lines), walking);
  return 0;
}
