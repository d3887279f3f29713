// proxy_protocol.jsonl: what a receiver makes of the first bytes of a connection.
#include <algorithm>
#include <string>

#include "common/proxy_protocol/parser.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;
using proxy_protocol::ParseStatus;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 0xf];
  }
  return hex;
}

proxy_protocol::ParseOptions ToOptions(const json& config) {
  proxy_protocol::ParseOptions options{.allow_missing = config.value("allow_missing", false)};
  for (const int version : config.value("disallow", std::vector<int>())) {
    (version == 1 ? options.allow_v1 : options.allow_v2) = false;
  }
  return options;
}

json Describe(const proxy_protocol::Header& header, std::string_view wire) {
  json got = {{"version", header.version}, {"payload_hex", ToHex(wire.substr(header.bytes))}};
  got["result"] = header.has_addresses ? "accept" : "local";
  if (!header.has_addresses) return got;
  got["family"] = header.is_ipv6 ? "ipv6" : "ipv4";
  got["src"] = header.source.ip.ToString();
  got["src_port"] = header.source.port;
  got["dst"] = header.destination.ip.ToString();
  got["dst_port"] = header.destination.port;
  got["tlvs"] = json::array();
  proxy_protocol::TlvReader reader(header.tlvs);
  while (const auto tlv = reader.Next()) {
    got["tlvs"].push_back({{"type", tlv->type}, {"value_hex", ToHex(tlv->value)}});
  }
  return got;
}

// As a connection reads it: after each piece everything so far is shown, until there is an answer.
// The payload is what stands behind the header in all of `wire`.
json Receive(const std::string& wire, const std::vector<size_t>& pieces,
             const proxy_protocol::ParseOptions& options) {
  size_t arrived = 0;
  for (const size_t piece : pieces) {
    arrived = std::min(arrived + piece, wire.size());
    proxy_protocol::Header header;
    switch (Parse({wire.data(), arrived}, options, &header).status) {
      case ParseStatus::kNeedMore:
        continue;
      case ParseStatus::kDone:
        return Describe(header, wire);
      case ParseStatus::kReject:
        return {{"result", "reject"}};
      case ParseStatus::kAbsent:
        return {{"result", "absent"}, {"payload_hex", ToHex(wire)}};
    }
  }
  return {{"result", "need_more"}};
}

}  // namespace

Outcome RunProxyProtocol(const json& vector) {
  const json& out = vector.at("out");
  const std::string wire = FromHex(vector.at("wire_hex"));
  const proxy_protocol::ParseOptions options = ToOptions(vector.value("config", json::object()));
  const json whole = Receive(wire, {wire.size()}, options);
  const std::vector<size_t> single_bytes(wire.size(), 1);
  for (const std::vector<size_t>& pieces :
       {single_bytes, vector.value("chunks", std::vector<size_t>{wire.size()})}) {
    const json split = Receive(wire, pieces, options);
    if (split != whole) return Outcome{.wanted = whole, .got = split};
  }
  if (vector.contains("strict_result") && whole.at("result") == vector.at("strict_result")) {
    return Outcome{.passed = true, .strict = true};
  }
  return CompareKeys(out, json(), whole);
}

}  // namespace whence::vectors
