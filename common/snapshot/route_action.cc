#include "common/snapshot/route_action.h"

#include <algorithm>
#include <charconv>

#include "common/base/strings.h"
#include "common/snapshot/routing.h"

namespace whence::snapshot {
namespace {

using std::string_view;

bool IsOneOf(string_view text, std::initializer_list<string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

string_view Trimmed(string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

string_view DefaultPort(string_view scheme) {
  return EqualsIgnoreCase(scheme, "https") ? ":443" : ":80";
}

// "host:80" -> "host", ":80"; brackets of an IPv6 address stay.
std::pair<string_view, string_view> SplitPort(string_view authority) {
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  if (colon == string_view::npos || (bracket != string_view::npos && colon < bracket)) {
    return {authority, {}};
  }
  return {authority.substr(0, colon), authority.substr(colon)};
}

}  // namespace

bool HeaderEdit::Drops(string_view name) const {
  for (const std::string& dropped : drop) {
    if (EqualsIgnoreCase(dropped, name)) return true;
  }
  return false;
}

bool HeaderEdit::Writes(string_view name) const {
  for (const auto& [written, value] : lines) {
    if (EqualsIgnoreCase(written, name)) return true;
  }
  return false;
}

HeaderEdit Then(const HeaderEdit& first, const HeaderEdit& second) {
  HeaderEdit both;
  both.drop = first.drop;
  both.drop.insert(both.drop.end(), second.drop.begin(), second.drop.end());
  for (const auto& line : first.lines) {
    if (!second.Drops(line.first)) both.lines.push_back(line);
  }
  both.lines.insert(both.lines.end(), second.lines.begin(), second.lines.end());
  for (const auto& [name, value] : both.lines) both.line_bytes += name.size() + value.size() + 4;
  return both;
}

bool RetryPolicy::WantsStatus(int status) const {
  if (status >= 500 && Wants(k5xx)) return true;
  if (status >= 502 && status <= 504 && Wants(kGatewayError)) return true;
  if (status == 409 && Wants(kRetriable4xx)) return true;
  return std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

const Destination& PickShare(const std::vector<Destination>& destinations, uint32_t shares,
                             uint32_t random) {
  if (destinations.size() == 1) return destinations.front();
  // Scaled, not taken modulo: the high bits are the better ones, and no share is favoured.
  const auto share = static_cast<uint32_t>(uint64_t{random} * shares >> 32);
  const auto at =
      std::upper_bound(destinations.begin(), destinations.end(), share,
                       [](uint32_t wanted, const Destination& one) { return wanted < one.upto; });
  return at != destinations.end() ? *at : destinations.back();
}

bool ReadRetryOn(string_view text, RetryPolicy* policy, std::string* word) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const string_view one = Trimmed(text.substr(0, comma));
    text = comma == string_view::npos ? string_view() : text.substr(comma + 1);
    uint16_t status = 0;
    const auto number = std::from_chars(one.data(), one.data() + one.size(), status);
    if (one == "5xx") {
      policy->causes |= RetryPolicy::k5xx | RetryPolicy::kConnectFailure | RetryPolicy::kReset |
                        RetryPolicy::kTimeout;
    } else if (one == "gateway-error") {
      policy->causes |= RetryPolicy::kGatewayError | RetryPolicy::kTimeout;
    } else if (one == "reset" || one == "reset-before-request") {
      policy->causes |= RetryPolicy::kReset | RetryPolicy::kTimeout;
    } else if (one == "connect-failure") {
      policy->causes |= RetryPolicy::kConnectFailure;
    } else if (one == "retriable-4xx") {
      policy->causes |= RetryPolicy::kRetriable4xx;
    } else if (number.ec == std::errc() && number.ptr == one.data() + one.size() && status >= 100 &&
               status <= 599) {
      policy->statuses.push_back(status);
    } else if (!IsOneOf(one, {"refused-stream", "http3-post-connect-failure", "cancelled",
                              "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
                              "retriable-status-codes"})) {
      *word = std::string(one);
      return false;
    }
  }
  return true;
}

string_view RewriteTarget(const Route& route, string_view target, std::string* memory) {
  if (route.action == nullptr || !route.action->rewrite) return target;
  const Rewrite& rewrite = *route.action->rewrite;
  const size_t path_end = std::min(target.find('?'), target.size());
  if (rewrite.regex != nullptr) {
    memory->assign(target.substr(0, path_end));
    rewrite.regex->ReplaceAll(rewrite.regex_rewrite, memory);
    // What a request line cannot carry as a path is not sent as one.
    if (memory->empty() || memory->front() != '/') memory->insert(0, 1, '/');
  } else if (!rewrite.uri.empty()) {
    memory->assign(rewrite.uri);
    if (route.match == Route::PathMatch::kPrefix) {
      memory->append(target.substr(route.path.size(), path_end - route.path.size()));
    }
  } else {
    return target;
  }
  memory->append(target.substr(path_end));
  return *memory;
}

void WriteLocation(const Redirect& redirect, const RoutedRequest& request, std::string* location) {
  const string_view requested = request.Scheme();
  const string_view scheme = redirect.scheme.empty() ? requested : redirect.scheme;
  auto [host, port] = SplitPort(redirect.authority.empty() ? request.host : redirect.authority);
  if (redirect.authority.empty() && scheme != requested && port == DefaultPort(requested)) {
    port = {};  // "host:80" to https would be https on port 80
  }
  location->clear();
  if (!host.empty()) {  // an HTTP/1.0 client need not say: then the Location is relative
    location->append(scheme);
    location->append("://");
    location->append(host);
  }
  if (host.empty()) {
    port = {};
  } else if (redirect.port == Redirect::Port::kGiven) {
    if (std::string text = ":" + std::to_string(redirect.port_number);
        text != DefaultPort(scheme)) {
      location->append(text);
    }
  } else if (redirect.port == Redirect::Port::kAsRequested && port != DefaultPort(scheme)) {
    location->append(port);
  }
  if (redirect.uri.empty()) {
    location->append(request.target);
    return;
  }
  location->append(redirect.uri);
  // Envoy's rule: a query of the redirect's own takes the place of the request's.
  const string_view query = request.Query();
  if (!query.empty() && redirect.uri.find('?') == std::string::npos) {
    location->append("?");
    location->append(query);
  }
}

}  // namespace whence::snapshot
