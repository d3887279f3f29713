#include "tests/unit/dataplane/access_log/messages.h"

#include <string>

#include "dataplane/access_log/record_text.h"

namespace whence::access_log {
namespace {

void SetAddress(const net::IpAddress& address, std::string* out) {
  if (address.is_unspecified()) return;
  out->assign(address.bytes().begin(), address.bytes().end());
}

// For fields of type `string`, which must be UTF-8 or the receiver refuses the whole message. What
// we put there is ASCII by nature (names of documents, our own words); this makes sure of it.
std::string Ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace

v1::AccessRecord ToMessage(const Record& record) {
  v1::AccessRecord message;
  message.set_time_us(record.time_us);
  message.set_protocol(std::string(ProtocolText(record.protocol)));
  SetAddress(record.client_address, message.mutable_client_address());
  message.set_client_reason(Ascii(record.Get(Text::kReason)));
  SetAddress(record.direct_peer, message.mutable_direct_peer());
  message.set_direct_peer_port(record.direct_peer_port);
  message.set_forwarded_for(std::string(record.Get(Text::kForwardedFor)));
  SetAddress(record.external_address, message.mutable_external_address());
  SetAddress(record.destination_address, message.mutable_destination());
  message.set_destination_port(record.destination_port);
  SetAddress(record.upstream_source, message.mutable_upstream_source());
  message.set_method(std::string(record.Get(Text::kMethod)));
  message.set_host(std::string(record.Get(Text::kHost)));
  message.set_path(std::string(record.Get(Text::kPath)));
  message.set_status(record.status);
  message.set_decision(ToWire(record.decision));
  message.set_policy(Ascii(record.Get(Text::kPolicy)));
  message.set_bytes_in(record.bytes_in);
  message.set_bytes_out(record.bytes_out);
  message.set_duration_us(record.duration_us);
  message.set_flags(FlagsText(record));
  message.set_request_id(std::string(record.Get(Text::kRequestId)));
  message.set_proxy_tlvs(std::string(record.Get(Text::kProxyTlvs)));
  return message;
}

v1::AccessRecord GapMessage(int64_t time_us, uint64_t dropped) {
  v1::AccessRecord message;
  message.set_time_us(time_us);
  message.set_dropped(dropped);
  return message;
}

uint64_t AccessesIn(const v1::AccessRecord& message) {
  return message.dropped() > 0 ? message.dropped() : 1;
}

}  // namespace whence::access_log
