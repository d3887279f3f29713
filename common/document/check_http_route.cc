// The http routes of a VirtualService.
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/duration.h"
#include "common/document/check_routes.h"
#include "common/http/field_id.h"
#include "common/snapshot/route_action.h"
#include "common/snapshot/text_match.h"

namespace whence::document {
namespace {

// Kept in memory by every gateway, and sent with one write.
constexpr size_t kMaxBody = 64 * 1024;
constexpr uint32_t kMaxAttempts = 100;

using TextMatches = google::protobuf::Map<std::string, v1::StringMatch>;
using Texts = google::protobuf::Map<std::string, std::string>;

void CheckRegex(const std::string& regex, const std::string& path, CheckContext& context) {
  const auto compiled = snapshot::Regex::Compile(regex);
  if (!compiled.ok()) context.Fault(path, std::string(compiled.status().message()));
}

void CheckText(const v1::StringMatch& match, const std::string& path, CheckContext& context) {
  if (match.match_case() == v1::StringMatch::MATCH_NOT_SET) {
    context.Fault(path, "needs exact, prefix or regex");
  } else if (match.has_regex()) {
    CheckRegex(match.regex(), path + ".regex", context);
  }
}

void CheckUri(const v1::StringMatch& uri, const std::string& path, CheckContext& context) {
  CheckText(uri, path, context);
  if (!uri.has_exact() && !uri.has_prefix()) return;
  const std::string& text = uri.has_exact() ? uri.exact() : uri.prefix();
  if (text.empty() || text[0] != '/') {
    context.Fault(path, absl::StrCat("\"", text, "\" must begin with \"/\""));
  }
}

// Istio's pseudo keys, which it ignores.
bool IsPseudoHeader(std::string_view name) {
  return name == "uri" || name == "scheme" || name == "method" || name == "authority" ||
         name.substr(0, 1) == ":";
}

void CheckHeaderMatches(const TextMatches& headers, const std::string& path,
                        CheckContext& context) {
  const std::map<std::string, v1::StringMatch> sorted(headers.begin(), headers.end());
  for (const auto& [name, match] : sorted) {
    const std::string at = path + "." + name;
    if (IsPseudoHeader(name)) {
      context.Fault(at, "is no header; give uri, scheme, method or authority beside headers");
      continue;
    }
    context.Expect(CheckHeaderName(name), at);
    const bool is_presence = match.regex() == "*" || match.regex().empty();
    if (!is_presence) CheckRegex(match.regex(), at + ".regex", context);
  }
}

void CheckMatch(const v1::HttpMatch& match, const std::string& path, CheckContext& context) {
  if (match.has_uri()) CheckUri(match.uri(), path + ".uri", context);
  if (match.has_scheme()) CheckText(match.scheme(), path + ".scheme", context);
  if (match.has_method()) CheckText(match.method(), path + ".method", context);
  if (match.has_authority()) CheckText(match.authority(), path + ".authority", context);
  CheckHeaderMatches(match.headers(), path + ".headers", context);
  CheckHeaderMatches(match.without_headers(), path + ".withoutHeaders", context);
  const std::map<std::string, v1::StringMatch> query(match.query_params().begin(),
                                                     match.query_params().end());
  for (const auto& [name, text] : query) {
    if (text.has_regex()) {
      CheckRegex(text.regex(), absl::StrCat(path, ".queryParams.", name, ".regex"), context);
    }
  }
  if (match.port() != 0) context.Expect(CheckPort(match.port()), path + ".port");
  CheckMatchGateways(match.gateways(), path + ".gateways", context);
  context.CheckCidrs(match.source_cidrs(), path + ".sourceCidrs");
}

// What can stand in a request target.
Complaint CheckPath(std::string_view text) {
  if (text.substr(0, 1) != "/") return absl::StrCat("\"", ToAbsl(text), "\" must begin with \"/\"");
  for (const char c : text) {
    if (c <= ' ' || static_cast<unsigned char>(c) >= 0x7f || c == '#') {
      return "holds a character that a path cannot have; encode it";
    }
  }
  return std::nullopt;
}

Complaint CheckAuthority(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || static_cast<unsigned char>(c) >= 0x7f || c == '/' || c == '@' || c == ',') {
      return absl::StrCat("\"", ToAbsl(text), "\" is no host with or without a port");
    }
  }
  return std::nullopt;
}

void CheckRewrite(const v1::HttpRewrite& rewrite, const std::string& path, CheckContext& context) {
  if (rewrite.uri().empty() && rewrite.authority().empty() && !rewrite.has_uri_regex_rewrite()) {
    return context.Fault(path, "changes nothing: give uri, authority or uriRegexRewrite");
  }
  if (!rewrite.uri().empty()) {
    context.Expect(CheckPath(rewrite.uri()), path + ".uri");
    if (rewrite.uri().find('?') != std::string::npos) {
      context.Fault(path + ".uri", "takes the place of the path; the query stays as it came");
    }
  }
  context.Expect(CheckAuthority(rewrite.authority()), path + ".authority");
  if (!rewrite.has_uri_regex_rewrite()) return;
  const std::string at = path + ".uriRegexRewrite";
  if (!rewrite.uri().empty()) context.Fault(at, "cannot be given together with uri");
  const auto regex = snapshot::Regex::Compile(rewrite.uri_regex_rewrite().match());
  if (!regex.ok()) return context.Fault(at + ".match", std::string(regex.status().message()));
  const std::string& text = rewrite.uri_regex_rewrite().rewrite();
  if (const absl::Status status = (*regex)->CheckRewrite(text); !status.ok()) {
    context.Fault(at + ".rewrite", std::string(status.message()));
  } else {
    context.Expect(CheckPath("/" + text), at + ".rewrite");
  }
}

void CheckRedirect(const v1::HttpRedirect& redirect, const std::string& path,
                   CheckContext& context) {
  if (redirect.uri().empty() && redirect.authority().empty() && redirect.scheme().empty() &&
      redirect.redirect_port_case() == v1::HttpRedirect::REDIRECT_PORT_NOT_SET) {
    context.Fault(path, "leads back to where it came from: give uri, authority, scheme or port");
  }
  if (redirect.uri().find('%') != std::string::npos &&
      redirect.uri().find("()%") != std::string::npos) {
    context.Unsupported(path + ".uri", "holds a placeholder that Whence does not act on yet",
                        "it is taken as it stands");
  } else if (!redirect.uri().empty()) {
    context.Expect(CheckPath(redirect.uri()), path + ".uri");
  }
  context.Expect(CheckAuthority(redirect.authority()), path + ".authority");
  if (!redirect.scheme().empty() && redirect.scheme() != "http" && redirect.scheme() != "https") {
    context.Fault(path + ".scheme",
                  absl::StrCat("must be http or https, not \"", redirect.scheme(), "\""));
  }
  if (redirect.has_port()) context.Expect(CheckPort(redirect.port()), path + ".port");
  switch (redirect.redirect_code()) {
    case 0:
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return;
    default:
      context.Fault(path + ".redirectCode", absl::StrCat("must be 301, 302, 303, 307 or 308, not ",
                                                         redirect.redirect_code()));
  }
}

void CheckDirectResponse(const v1::HttpDirectResponse& response, const std::string& path,
                         CheckContext& context) {
  if (response.status() < 200 || response.status() > 599) {
    context.Fault(path + ".status",
                  absl::StrCat("must be from 200 to 599, not ", response.status()));
  }
  if (response.body().string().size() > kMaxBody) {
    context.Fault(path + ".body.string", absl::StrCat("is ", response.body().string().size(),
                                                      " bytes long; at most ", kMaxBody));
  }
}

void CheckRetries(const v1::HttpRetry& retries, const std::string& path, CheckContext& context) {
  if (retries.attempts() > kMaxAttempts) {
    context.Fault(path + ".attempts",
                  absl::StrCat(retries.attempts(), " is too many; at most ", kMaxAttempts));
  }
  if (CheckTimeout(retries.per_try_timeout(), path + ".perTryTimeout", context) ==
      std::chrono::milliseconds(0)) {
    context.Fault(path + ".perTryTimeout", "would end every try before it began");
  }
  snapshot::RetryPolicy policy;
  std::string word;
  if (!snapshot::ReadRetryOn(retries.retry_on(), &policy, &word)) {
    context.Fault(path + ".retryOn",
                  absl::StrCat("\"", word,
                               "\" is no reason that Whence knows: connect-failure, "
                               "reset, 5xx, gateway-error, retriable-4xx or a status"));
  }
}

// Who the client is stands in headers that only the topology may decide.
Complaint CheckEditedName(std::string_view name, bool of_request) {
  if (Complaint complaint = CheckHeaderName(name)) {
    return name.substr(0, 1) == ":" ? "is no header; a Host is set with rewrite.authority"
                                    : complaint;
  }
  using http::FieldId;
  const FieldId id = http::IdentifyField(name);
  if (id == FieldId::kHost) return "cannot be edited; a Host is set with rewrite.authority";
  if (id >= FieldId::kContentLength && id <= FieldId::kHttp2Settings) {
    return "belongs to the message's framing or to one connection and cannot be edited";
  }
  if (id == FieldId::kUnderscoreAlias) return "is never forwarded: a header under another spelling";
  if (id == FieldId::kXWhenceClient || id == FieldId::kXWhenceOther ||
      (of_request && http::IsForwardedFamily(id))) {
    return "speaks of the client; only a TrustTopology decides that";
  }
  return std::nullopt;
}

Complaint CheckEditedValue(std::string_view value) {
  for (size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if ((c < ' ' && c != '\t') || c == 0x7f) return "holds a control character";
    if (c != '%') continue;
    if (value.substr(i, 2) != "%%") {
      return "holds \"%\", which begins one of Envoy's placeholders, that Whence does not act on; "
             "a plain one is written %%";
    }
    ++i;
  }
  return std::nullopt;
}

void CheckOperations(const v1::Headers::Operations& operations, const std::string& path,
                     bool of_request, CheckContext& context) {
  const std::pair<const Texts*, const char*> maps[] = {{&operations.set(), ".set."},
                                                       {&operations.add(), ".add."}};
  for (const auto& [texts, name] : maps) {
    const std::map<std::string, std::string> sorted(texts->begin(), texts->end());
    for (const auto& [header, value] : sorted) {
      context.Expect(CheckEditedName(header, of_request), absl::StrCat(path, name, header));
      context.Expect(CheckEditedValue(value), absl::StrCat(path, name, header));
    }
  }
  for (int i = 0; i < operations.remove_size(); ++i) {
    context.Expect(CheckEditedName(operations.remove(i), of_request), Item(path + ".remove", i));
  }
}

// One way to go on, and one only.
void CheckAction(const v1::HttpRoute& route, const std::string& path, CheckContext& context) {
  const int ways = (route.route().empty() ? 0 : 1) + (route.has_redirect() ? 1 : 0) +
                   (route.has_direct_response() ? 1 : 0);
  if (ways == 0) CheckDestinations(route.route(), path + ".route", context);  // is missing
  if (ways > 1) {
    context.Fault(path + (route.has_redirect() ? ".redirect" : ".directResponse"),
                  "only one of route, redirect and directResponse can be given");
  }
  if (!route.route().empty()) return;
  const std::pair<bool, const char*> idle[] = {{route.has_rewrite(), ".rewrite"},
                                               {route.has_retries(), ".retries"},
                                               {!route.timeout().empty(), ".timeout"}};
  for (const auto& [given, name] : idle) {
    if (given && ways == 1) context.Fault(path + name, "needs a route: nothing goes upstream");
  }
}

}  // namespace

std::optional<std::chrono::milliseconds> CheckTimeout(const std::string& text,
                                                      const std::string& path,
                                                      CheckContext& context) {
  if (text.empty()) return std::nullopt;
  const auto timeout = ParseDuration(text);
  if (!timeout) {
    context.Fault(path, absl::StrCat("\"", text,
                                     "\" is no duration; expected such as 5s, 1.5s or "
                                     "100ms"));
  }
  return timeout;
}

void CheckHeaders(const v1::Headers& headers, const std::string& path, CheckContext& context) {
  CheckOperations(headers.request(), path + ".request", /*of_request=*/true, context);
  CheckOperations(headers.response(), path + ".response", /*of_request=*/false, context);
}

void CheckHttpRoute(const v1::HttpRoute& route, const std::string& path, CheckContext& context) {
  for (int i = 0; i < route.match_size(); ++i) {
    CheckMatch(route.match(i), Item(path + ".match", i), context);
  }
  CheckAction(route, path, context);
  if (!route.route().empty()) CheckDestinations(route.route(), path + ".route", context);
  for (int i = 0; i < route.route_size(); ++i) {
    CheckHeaders(route.route(i).headers(), Item(path + ".route", i) + ".headers", context);
  }
  CheckHeaders(route.headers(), path + ".headers", context);
  if (route.has_rewrite()) CheckRewrite(route.rewrite(), path + ".rewrite", context);
  if (route.has_redirect()) CheckRedirect(route.redirect(), path + ".redirect", context);
  if (route.has_direct_response()) {
    CheckDirectResponse(route.direct_response(), path + ".directResponse", context);
  }
  CheckTimeout(route.timeout(), path + ".timeout", context);
  if (route.has_retries()) CheckRetries(route.retries(), path + ".retries", context);
}

}  // namespace whence::document
