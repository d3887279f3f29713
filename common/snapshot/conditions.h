// What a route asks of a request besides its path.
#ifndef WHENCE_COMMON_SNAPSHOT_CONDITIONS_H_
#define WHENCE_COMMON_SNAPSHOT_CONDITIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "common/http/field_id.h"
#include "common/net/cidr_set.h"
#include "common/snapshot/routed_request.h"
#include "common/snapshot/text_match.h"

namespace whence::snapshot {

struct HeaderMatch {
  std::string name;  // in any case
  TextMatch match;
  http::FieldId id = http::FieldId::kOther;  // of `name`
};

struct QueryMatch {
  std::string name;
  TextMatch match;
};

// Immutable value. All that is given must hold; an empty one always does.
struct Conditions {
  std::optional<TextMatch> method;
  std::optional<TextMatch> authority;
  std::optional<TextMatch> scheme;
  std::vector<HeaderMatch> headers;
  std::vector<HeaderMatch> without_headers;  // none of these may hold
  std::vector<QueryMatch> query_params;
  std::optional<net::CidrSet> source_cidrs;  // one holds the trusted client

  // Several lines of one header are one value, joined by commas (RFC 9110, 5.3). A query parameter
  // is compared as it was written, percent signs and all; of several the first counts. Pure.
  bool Hold(const RoutedRequest& request) const;
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_CONDITIONS_H_
