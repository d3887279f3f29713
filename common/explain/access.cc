#include "common/explain/access.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/trust/topology.h"

namespace whence::explain {
namespace {

absl::Status Bad(const char* field, const std::string& value, const char* wanted) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": \"", value, "\" is no ", wanted));
}

// An address, with or without a port.
std::optional<net::SocketAddress> ParseSource(const std::string& text) {
  if (const auto ip = net::IpAddress::Parse(text)) return net::SocketAddress{*ip, 0};
  return net::SocketAddress::Parse(text);
}

// What could not stand in a request head must not be explained as if it could.
bool IsFieldName(std::string_view name) {
  for (const char c : name) {
    if (c <= ' ' || c == ':' || static_cast<unsigned char>(c) >= 0x7f) return false;
  }
  return !name.empty();
}
bool IsFieldValue(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string_view Trimmed(std::string_view value) {
  const size_t first = value.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return value.substr(first, value.find_last_not_of(" \t") - first + 1);
}

absl::Status AddField(std::string_view name, std::string_view value, Access* access) {
  if (!IsFieldName(name)) return Bad("headers", std::string(name), "header name");
  if (!IsFieldValue(value)) return Bad("headers", std::string(name), "header of one line");
  if (access->fields.size() == http::FieldSet::kCapacity) {
    return absl::InvalidArgumentError(
        absl::StrCat("headers: more than ", http::FieldSet::kCapacity, " fields"));
  }
  access->fields.push_back({name, Trimmed(value)});
  access->ids.push_back(http::IdentifyField(name));
  return absl::OkStatus();
}

absl::Status AddFields(const v1::ExplainRequest& request, Access* access) {
  if (!request.host().empty()) {
    if (absl::Status status = AddField("host", request.host(), access); !status.ok()) return status;
  }
  for (const std::string& line : request.forwarded_for()) {
    if (absl::Status status = AddField("x-forwarded-for", line, access); !status.ok()) {
      return status;
    }
  }
  // In name order: the answer must not change from run to run.
  std::map<std::string_view, std::string_view> sorted;
  for (const auto& [name, value] : request.headers()) sorted[name] = value;
  for (const auto& [name, value] : sorted) {
    if (absl::Status status = AddField(name, value, access); !status.ok()) return status;
  }
  return absl::OkStatus();
}

uint16_t PortOf(const snapshot::Snapshot& snapshot, const v1::ExplainRequest& request) {
  if (request.port() != 0) return static_cast<uint16_t>(request.port());
  return snapshot.listeners.empty() ? 80 : snapshot.listeners.front().port;
}

}  // namespace

absl::StatusOr<Access> DescribeAccess(const snapshot::Snapshot& snapshot,
                                      const v1::ExplainRequest& request) {
  Access access;
  const auto peer = ParseSource(request.peer());
  if (!peer) return Bad("peer", request.peer(), "IP address");
  access.peer.address = *peer;
  if (!request.proxy_source().empty()) {
    access.proxy_source = ParseSource(request.proxy_source());
    if (!access.proxy_source) return Bad("proxy_source", request.proxy_source(), "IP address");
  }
  if (request.port() > 65535) return Bad("port", absl::StrCat(request.port()), "port");
  const uint16_t port = PortOf(snapshot, request);
  // Most policies look at the port only; the family must fit.
  access.destination.address = {
      peer->ip.is_v4() ? net::IpAddress::FromV4({0, 0, 0, 0}) : net::IpAddress(), port};
  if (!request.destination().empty()) {
    const auto destination = net::IpAddress::Parse(request.destination());
    if (!destination) return Bad("destination", request.destination(), "IP address");
    access.destination.address.ip = *destination;
    access.has_destination = true;
  }
  snapshot::Protocol protocol = snapshot.ProtocolOfPort(port);
  for (const snapshot::Listener& listener : snapshot.listeners) {
    if (listener.port != port) continue;
    access.listener = &listener;
    protocol = listener.protocol;
  }
  access.is_http = !request.tcp() && protocol != snapshot::Protocol::kTcp;
  if (!access.is_http) return access;
  access.method = request.method().empty() ? "GET" : request.method();
  access.target = request.path().empty() ? "/" : request.path();
  access.host = request.host();
  if (absl::Status status = AddFields(request, &access); !status.ok()) return status;
  return access;
}

}  // namespace whence::explain
