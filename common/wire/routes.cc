#include "common/wire/routes.h"

#include "absl/strings/str_replace.h"
#include "common/base/duration.h"
#include "common/http/field_id.h"
#include "common/net/cidr.h"

namespace whence::wire {
namespace {

namespace pb = google::protobuf;

std::string Item(const std::string& path, int index) { return absl::StrCat(path, "[", index, "]"); }

// Envoy's spelling of a plain percent sign.
std::string Unescaped(const std::string& value) {
  return absl::StrReplaceAll(value, {{"%%", "%"}});
}

// Istio's spellings of "it is there".
bool IsPresence(const v1::StringMatch& match) {
  return match.exact().empty() && match.prefix().empty() &&
         (match.regex().empty() || match.regex() == "*");
}

snapshot::HeaderEdit ToEdit(const v1::Headers::Operations& operations) {
  snapshot::HeaderEdit edit;
  for (const std::string& name : operations.remove()) edit.drop.push_back(name);
  // In name order, since a map has none.
  const std::map<std::string, std::string> set(operations.set().begin(), operations.set().end());
  const std::map<std::string, std::string> add(operations.add().begin(), operations.add().end());
  for (const auto& [name, value] : set) {
    edit.drop.push_back(name);
    edit.lines.emplace_back(name, Unescaped(value));
  }
  for (const auto& [name, value] : add) edit.lines.emplace_back(name, Unescaped(value));
  return snapshot::Then(edit, {});
}

bool HasAction(const v1::RouteResource& resource) {
  return !resource.clusters().empty() || resource.has_rewrite() || resource.has_redirect() ||
         resource.has_direct_response() || resource.has_headers() || resource.timeout_ms() != 0 ||
         resource.has_retries();
}

}  // namespace

std::optional<uint32_t> RouteDecoder::FindCluster(const std::string& name,
                                                  const std::string& path) {
  const auto found = clusters_.find(name);
  if (found != clusters_.end()) return found->second;
  faults_.Add(path, absl::StrCat("there is no cluster \"", name, "\""));
  return std::nullopt;
}

std::shared_ptr<const snapshot::Regex> RouteDecoder::CompileRegex(const std::string& text,
                                                                  const std::string& path) {
  auto regex = snapshot::Regex::Compile(text);
  if (regex.ok()) return *std::move(regex);
  faults_.Add(path, std::string(regex.status().message()));
  return nullptr;
}

snapshot::TextMatch RouteDecoder::DecodeText(const v1::StringMatch& match,
                                             const std::string& path) {
  using Kind = snapshot::TextMatch::Kind;
  switch (match.match_case()) {
    case v1::StringMatch::kExact:
      return {Kind::kExact, match.exact(), nullptr};
    case v1::StringMatch::kPrefix:
      return {Kind::kPrefix, match.prefix(), nullptr};
    case v1::StringMatch::kRegex:
      return {Kind::kRegex, "", CompileRegex(match.regex(), path + ".regex")};
    case v1::StringMatch::MATCH_NOT_SET:
      break;
  }
  return {};
}

std::vector<snapshot::HeaderMatch> RouteDecoder::DecodeHeaders(
    const pb::Map<std::string, v1::StringMatch>& headers, const std::string& path) {
  const std::map<std::string, v1::StringMatch> sorted(headers.begin(), headers.end());
  std::vector<snapshot::HeaderMatch> matches;
  for (const auto& [name, match] : sorted) {
    snapshot::TextMatch text;
    if (!IsPresence(match)) text = DecodeText(match, path + "." + name);
    matches.push_back({name, std::move(text), http::IdentifyField(name)});
  }
  return matches;
}

std::optional<net::CidrSet> RouteDecoder::DecodeCidrs(
    const pb::RepeatedPtrField<std::string>& cidrs, const std::string& path) {
  if (cidrs.empty()) return std::nullopt;
  std::vector<net::Cidr> decoded;
  for (int i = 0; i < cidrs.size(); ++i) {
    const auto cidr = net::Cidr::Parse(cidrs[i]);
    if (cidr.ok()) {
      decoded.push_back(*cidr);
    } else {
      faults_.Add(Item(path, i), std::string(cidr.status().message()));
    }
  }
  return net::CidrSet(std::move(decoded));
}

std::shared_ptr<const snapshot::Conditions> RouteDecoder::DecodeConditions(
    const v1::HttpMatch& match, const std::string& path) {
  auto conditions = std::make_shared<snapshot::Conditions>();
  if (match.has_method()) conditions->method = DecodeText(match.method(), path + ".method");
  if (match.has_authority()) {
    conditions->authority = DecodeText(match.authority(), path + ".authority");
  }
  if (match.has_scheme()) conditions->scheme = DecodeText(match.scheme(), path + ".scheme");
  conditions->headers = DecodeHeaders(match.headers(), path + ".headers");
  conditions->without_headers = DecodeHeaders(match.without_headers(), path + ".without_headers");
  const std::map<std::string, v1::StringMatch> query(match.query_params().begin(),
                                                     match.query_params().end());
  for (const auto& [name, text] : query) {
    conditions->query_params.push_back({name, DecodeText(text, path + ".query_params." + name)});
  }
  conditions->source_cidrs = DecodeCidrs(match.source_cidrs(), path + ".source_cidrs");
  return conditions;
}

void RouteDecoder::DecodeDestinations(const pb::RepeatedPtrField<v1::WeightedCluster>& clusters,
                                      const v1::Headers& headers, const std::string& path,
                                      std::vector<snapshot::Destination>* destinations,
                                      uint32_t* shares) {
  uint64_t sum = 0;
  for (int i = 0; i < clusters.size(); ++i) {
    const v1::WeightedCluster& cluster = clusters[i];
    const std::string at = Item(path, i);
    const uint32_t weight = clusters.size() == 1 ? 1 : cluster.weight();
    const auto place = FindCluster(cluster.cluster(), at + ".cluster");
    if (weight == 0 || !place) continue;
    sum += weight;
    snapshot::Destination& destination = destinations->emplace_back();
    destination.cluster = *place;
    destination.upto = static_cast<uint32_t>(sum);
    // Envoy's order: the destination's edits, then the route's.
    destination.request =
        snapshot::Then(ToEdit(cluster.headers().request()), ToEdit(headers.request()));
    destination.response =
        snapshot::Then(ToEdit(cluster.headers().response()), ToEdit(headers.response()));
  }
  if (sum == 0 || sum > UINT32_MAX) faults_.Add(path, "no destination has a weight, or too many");
  *shares = static_cast<uint32_t>(sum);
}

snapshot::Rewrite RouteDecoder::DecodeRewrite(const v1::HttpRewrite& rewrite,
                                              const std::string& path) {
  snapshot::Rewrite decoded;
  decoded.uri = rewrite.uri();
  decoded.authority = rewrite.authority();
  if (!rewrite.has_uri_regex_rewrite()) return decoded;
  const std::string at = path + ".uri_regex_rewrite";
  decoded.regex = CompileRegex(rewrite.uri_regex_rewrite().match(), at + ".match");
  decoded.regex_rewrite = rewrite.uri_regex_rewrite().rewrite();
  if (decoded.regex == nullptr) return decoded;
  const absl::Status status = decoded.regex->CheckRewrite(decoded.regex_rewrite);
  if (!status.ok()) faults_.Add(at + ".rewrite", std::string(status.message()));
  return decoded;
}

snapshot::Redirect RouteDecoder::DecodeRedirect(const v1::HttpRedirect& redirect,
                                                const std::string& path) {
  using Port = snapshot::Redirect::Port;
  snapshot::Redirect decoded;
  decoded.uri = redirect.uri();
  decoded.authority = redirect.authority();
  decoded.scheme = redirect.scheme();
  if (redirect.has_port()) {
    decoded.port = Port::kGiven;
    decoded.port_number = static_cast<uint16_t>(redirect.port());
  } else if (redirect.derive_port() == v1::HttpRedirect::FROM_PROTOCOL_DEFAULT) {
    decoded.port = Port::kDefault;
  }
  const uint32_t code = redirect.redirect_code() == 0 ? 301 : redirect.redirect_code();
  if (code < 300 || code > 399) faults_.Add(path + ".redirect_code", "is not 3xx");
  decoded.status = static_cast<uint16_t>(code);
  return decoded;
}

snapshot::RetryPolicy RouteDecoder::DecodeRetries(const v1::HttpRetry& retries,
                                                  const std::string& path) {
  snapshot::RetryPolicy policy;
  policy.attempts = retries.attempts();
  if (!retries.per_try_timeout().empty()) {
    const auto timeout = ParseDuration(retries.per_try_timeout());
    if (!timeout) faults_.Add(path + ".per_try_timeout", "is no duration");
    policy.per_try_timeout = timeout.value_or(policy.per_try_timeout);
  }
  // Istio's default: what is safe to send again, because upstream did not begin with it.
  const std::string& on =
      retries.retry_on().empty() ? "connect-failure,refused-stream,503" : retries.retry_on();
  std::string word;
  if (!snapshot::ReadRetryOn(on, &policy, &word)) {
    faults_.Add(path + ".retry_on", absl::StrCat("unknown word \"", word, "\""));
  }
  return policy;
}

std::shared_ptr<const snapshot::RouteAction> RouteDecoder::DecodeAction(
    const v1::RouteResource& resource, const std::string& path) {
  auto action = std::make_shared<snapshot::RouteAction>();
  if (resource.has_redirect()) {
    action->redirect = DecodeRedirect(resource.redirect(), path + ".redirect");
  } else if (resource.has_direct_response()) {
    const v1::HttpDirectResponse& response = resource.direct_response();
    if (response.status() < 200 || response.status() > 599) {
      faults_.Add(path + ".direct_response.status", "is not 200..599");
    }
    action->direct_response = {static_cast<uint16_t>(response.status()), response.body().string()};
  } else if (!resource.clusters().empty()) {
    DecodeDestinations(resource.clusters(), resource.headers(), path + ".clusters",
                       &action->destinations, &action->shares);
  } else {
    v1::RouteResource one;
    one.add_clusters()->set_cluster(resource.cluster());
    DecodeDestinations(one.clusters(), resource.headers(), path, &action->destinations,
                       &action->shares);
  }
  if (resource.has_rewrite())
    action->rewrite = DecodeRewrite(resource.rewrite(), path + ".rewrite");
  action->response = ToEdit(resource.headers().response());
  action->timeout = std::chrono::milliseconds(resource.timeout_ms());
  if (resource.has_retries())
    action->retries = DecodeRetries(resource.retries(), path + ".retries");
  return action;
}

snapshot::Route RouteDecoder::Decode(const v1::RouteResource& resource, const std::string& path) {
  snapshot::Route route;
  route.name = resource.name();
  route.ignore_case = resource.ignore_case();
  switch (resource.path_case()) {
    case v1::RouteResource::kPrefix:
      route.match = snapshot::Route::PathMatch::kPrefix;
      route.path = resource.prefix();
      break;
    case v1::RouteResource::kExact:
      route.match = snapshot::Route::PathMatch::kExact;
      route.path = resource.exact();
      break;
    case v1::RouteResource::kRegex:
      route.match = snapshot::Route::PathMatch::kRegex;
      route.path = resource.regex();
      route.regex = CompileRegex(resource.regex(), path + ".regex");
      break;
    case v1::RouteResource::PATH_NOT_SET:
      faults_.Add(path, "has neither prefix nor exact nor regex");
  }
  if (resource.has_conditions()) {
    route.conditions = DecodeConditions(resource.conditions(), path + ".conditions");
  }
  if (!HasAction(resource)) {
    route.cluster = FindCluster(resource.cluster(), path + ".cluster").value_or(0);
    return route;
  }
  route.action = DecodeAction(resource, path);
  if (!route.action->destinations.empty()) {
    route.cluster = route.action->destinations.front().cluster;
  }
  return route;
}

snapshot::TcpRoute RouteDecoder::DecodeTcp(const v1::TcpRouteResource& resource,
                                           const std::string& path) {
  snapshot::TcpRoute route;
  route.source_cidrs = DecodeCidrs(resource.source_cidrs(), path + ".source_cidrs");
  DecodeDestinations(resource.clusters(), {}, path + ".clusters", &route.destinations,
                     &route.shares);
  return route;
}

}  // namespace whence::wire
