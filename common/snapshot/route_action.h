// What becomes of a request once its route is known: rewritten, answered, shared out, tried again.
#ifndef WHENCE_COMMON_SNAPSHOT_ROUTE_ACTION_H_
#define WHENCE_COMMON_SNAPSHOT_ROUTE_ACTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/snapshot/routed_request.h"
#include "common/snapshot/text_match.h"

namespace whence::snapshot {

struct Route;

// Changes to the fields of a head: first what is dropped, then what is written behind the rest.
struct HeaderEdit {
  std::vector<std::string> drop;
  std::vector<std::pair<std::string, std::string>> lines;
  size_t line_bytes = 0;  // of `lines`, on the wire

  bool empty() const { return drop.empty() && lines.empty(); }
  bool Drops(std::string_view name) const;
  bool Writes(std::string_view name) const;
};
// The edit that does `first` and then `second`.
HeaderEdit Then(const HeaderEdit& first, const HeaderEdit& second);

struct Destination {
  uint32_t cluster = 0;  // index into Snapshot::clusters
  uint32_t upto = 1;     // its share: from the one before it to here, of RouteAction::shares
  HeaderEdit request, response;
};

// The one of `destinations` (not empty) that `random`, uniform over all values, falls to.
const Destination& PickShare(const std::vector<Destination>& destinations, uint32_t shares,
                             uint32_t random);

struct Rewrite {
  std::string uri;        // empty: unless there is a regex, the path stays
  std::string authority;  // empty: the Host stays
  std::shared_ptr<const Regex> regex;
  std::string regex_rewrite;
};

struct Redirect {
  enum class Port : uint8_t { kAsRequested, kDefault, kGiven };

  std::string uri, authority, scheme;  // empty: as requested
  Port port = Port::kAsRequested;
  uint16_t port_number = 0;  // kGiven
  uint16_t status = 301;
};

struct DirectResponse {
  uint16_t status = 200;
  std::string body;
};

// Why a request may be sent again. Each flag is a word of Envoy's retry_on.
struct RetryPolicy {
  static constexpr uint8_t kConnectFailure = 1;  // nothing was sent
  static constexpr uint8_t kReset = 2;           // the connection broke before the answer
  static constexpr uint8_t kTimeout = 4;         // a try took too long
  static constexpr uint8_t k5xx = 8;
  static constexpr uint8_t kGatewayError = 16;  // 502, 503, 504
  static constexpr uint8_t kRetriable4xx = 32;  // 409

  uint32_t attempts = 0;  // besides the first
  std::chrono::milliseconds per_try_timeout{0};
  uint8_t causes = 0;
  std::vector<uint16_t> statuses;

  bool Wants(uint8_t cause) const { return (causes & cause) != 0; }
  bool WantsStatus(int status) const;
};

// Immutable; shared by the routes of one document's route.
struct RouteAction {
  std::vector<Destination> destinations;  // empty with redirect and direct_response
  uint32_t shares = 1;                    // their sum
  std::optional<Rewrite> rewrite;
  std::optional<Redirect> redirect;
  std::optional<DirectResponse> direct_response;
  HeaderEdit response;                   // of our own answers
  std::chrono::milliseconds timeout{0};  // 0: none
  std::optional<RetryPolicy> retries;  // none: the default, another endpoint after a failed connect

  const Destination& Pick(uint32_t random) const { return PickShare(destinations, shares, random); }
};

// Reads a policy's `retry_on`. False: `word` is not one of Envoy's, or asks for what HTTP/1
// upstreams cannot tell. gRPC's and HTTP/2's words are taken and mean nothing here.
bool ReadRetryOn(std::string_view text, RetryPolicy* policy, std::string* word);

// The target as the route has it go upstream. `memory` holds it if it changed; it keeps its
// capacity, so that a reused one does not allocate.
std::string_view RewriteTarget(const Route& route, std::string_view target, std::string* memory);

// The Location of a redirect.
void WriteLocation(const Redirect& redirect, const RoutedRequest& request, std::string* location);

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_ROUTE_ACTION_H_
