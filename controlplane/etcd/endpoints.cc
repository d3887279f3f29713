#include "controlplane/etcd/endpoints.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/strings.h"
#include "common/net/ip_address.h"

namespace whence::etcd {
namespace {

absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": give http://HOST:PORT or https://HOST:PORT"));
  };
  Endpoint endpoint;
  absl::string_view rest = text;
  endpoint.is_tls = absl::ConsumePrefix(&rest, "https://");
  if (!endpoint.is_tls) absl::ConsumePrefix(&rest, "http://");
  absl::ConsumeSuffix(&rest, "/");
  const size_t colon = rest.rfind(':');
  if (colon == rest.npos || colon == 0) return wrong();
  absl::string_view host = rest.substr(0, colon);
  uint32_t port = 0;
  if (!absl::SimpleAtoi(rest.substr(colon + 1), &port) || port == 0 || port > 65535) return wrong();
  if (host.find_first_of("/ @?#") != host.npos) return wrong();
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const auto address = net::IpAddress::Parse(ToStd(host));
  if (is_bracketed != (address && address->is_v6())) return wrong();
  endpoint.is_local = address ? address->is_loopback() : EqualsIgnoreCase(ToStd(host), "localhost");
  endpoint.target = std::string(rest);
  return endpoint;
}

}  // namespace

absl::StatusOr<std::vector<Endpoint>> ParseEndpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  for (absl::string_view part : absl::StrSplit(ToAbsl(text), ',', absl::SkipWhitespace())) {
    absl::StatusOr<Endpoint> endpoint = ParseEndpoint(absl::StripAsciiWhitespace(part));
    if (!endpoint.ok()) return endpoint.status();
    endpoints.push_back(*std::move(endpoint));
  }
  if (endpoints.empty()) return absl::InvalidArgumentError("give http://HOST:PORT, several with ,");
  return endpoints;
}

absl::StatusOr<std::string> ParsePrefix(std::string_view text) {
  std::string prefix(text);
  const bool is_printable =
      std::all_of(prefix.begin(), prefix.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (prefix.empty() || !is_printable) {
    return absl::InvalidArgumentError("give a path of printable characters, such as /whence/");
  }
  if (prefix.front() != '/') prefix = absl::StrCat("/", prefix);
  if (prefix.back() != '/') prefix += '/';
  return prefix;
}

}  // namespace whence::etcd
