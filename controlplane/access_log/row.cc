#include "controlplane/access_log/row.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/net/ip_address.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

constexpr int64_t kLastTime = 253402300799999999;  // 9999-12-31: what strftime can show

int64_t Bounded(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max()));
}

// NULL where there is nothing: `where policy is null` reads better than `= ''`.
std::optional<std::string_view> OrNull(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}
std::optional<store::Blob> BlobOrNull(const std::string& bytes) {
  return bytes.empty() ? std::nullopt : std::optional<store::Blob>(store::Blob{bytes});
}

}  // namespace

Row::Address::Address(const std::string& bytes) {
  net::IpAddress::Bytes raw;
  if (bytes.size() != raw.size()) return;
  std::memcpy(raw.data(), bytes.data(), raw.size());
  blob = bytes;
  text = net::IpAddress::FromV6(raw).ToString();
}

Row::Row(const v1::AccessRecord& record)
    : time_us(std::clamp<int64_t>(record.time_us(), 0, kLastTime)),
      protocol(Escape(record.protocol(), kMaxWordBytes)),
      client(record.client_address()),
      client_reason(Escape(record.client_reason(), kMaxWordBytes)),
      peer(record.direct_peer()),
      peer_port(record.direct_peer_port()),
      forwarded_for(Escape(record.forwarded_for(), kMaxTextBytes)),
      external(record.external_address()),
      destination(record.destination()),
      destination_port(record.destination_port()),
      upstream(record.upstream_source()),
      method(Escape(record.method(), kMaxWordBytes)),
      host(Escape(record.host(), kMaxTextBytes)),
      path(Escape(record.path(), kMaxTextBytes)),
      status(record.status()),
      decision(record.decision()),
      policy(Escape(record.policy(), 2 * kMaxWordBytes)),
      bytes_in(Bounded(record.bytes_in())),
      bytes_out(Bounded(record.bytes_out())),
      duration_us(Bounded(record.duration_us())),
      flags(Escape(record.flags(), kMaxWordBytes)),
      request_id(Escape(record.request_id(), kMaxWordBytes)),
      dropped(Bounded(record.dropped())),
      proxy_tlvs(Escape(record.proxy_tlvs(), kMaxTextBytes)) {}

size_t Row::bytes() const {
  size_t sum = 100;  // integers, header, b-tree overhead
  for (const Address* address : {&client, &peer, &external, &destination, &upstream}) {
    sum += address->blob.size() + address->text.size();
  }
  for (const std::string* text : {&protocol, &client_reason, &forwarded_for, &method, &host, &path,
                                  &policy, &flags, &request_id, &proxy_tlvs}) {
    sum += text->size();
  }
  return sum;
}

absl::Status Row::Insert(store::Statement& insert, int64_t id, int64_t agent_id) const {
  return insert.Run(id, time_us, agent_id, std::string_view(protocol), BlobOrNull(client.blob),
                    OrNull(client.text), std::string_view(client_reason), BlobOrNull(peer.blob),
                    OrNull(peer.text), peer_port, OrNull(forwarded_for), BlobOrNull(external.blob),
                    OrNull(external.text), BlobOrNull(destination.blob), OrNull(destination.text),
                    destination_port, BlobOrNull(upstream.blob), OrNull(upstream.text),
                    OrNull(method), OrNull(host), OrNull(path), status, decision, OrNull(policy),
                    bytes_in, bytes_out, duration_us, OrNull(flags), OrNull(request_id), dropped,
                    OrNull(proxy_tlvs));
}

}  // namespace whence::access_log
