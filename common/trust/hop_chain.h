// The chain of hops in X-Forwarded-For or Forwarded, read from its near end.
//
// Right to left, because only the tail was written by someone we trust; and entry by entry, because
// a stranger decides how long the rest is. Several header lines are one list, the last line nearest
// (RFC 9110 section 5.3); a line without text adds no entry, while `a,,b` has an empty one in the
// middle.
//
//   X-Forwarded-For: 1.1.1.1, 2.2.2.2        Next() gives "3.3.3.3", "2.2.2.2", "1.1.1.1"
//   X-Forwarded-For: 3.3.3.3
#ifndef WHENCE_COMMON_TRUST_HOP_CHAIN_H_
#define WHENCE_COMMON_TRUST_HOP_CHAIN_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "common/http/field_id.h"
#include "common/http/header_field.h"
#include "common/net/ip_address.h"

namespace whence::trust {

// A cursor over borrowed fields; thread-compatible. Allocates nothing; reading the whole chain
// costs time linear in its bytes.
class HopChain {
 public:
  // `id` is kXForwardedFor or kForwarded; `ids` is parallel to `fields`.
  HopChain(std::span<const http::HeaderField> fields, std::span<const http::FieldId> ids,
           http::FieldId id)
      : fields_(fields), ids_(ids), id_(id), next_field_(fields.size()) {}

  // The next entry to the left, blanks trimmed, possibly empty; nullopt at the end of the chain.
  std::optional<std::string_view> Next();
  // The client that an entry of this chain names; nullopt if it names none.
  std::optional<net::IpAddress> Parse(std::string_view entry) const;

 private:
  bool StepToNextLine();
  size_t FindComma(size_t end) const;

  std::span<const http::HeaderField> fields_;
  std::span<const http::FieldId> ids_;
  http::FieldId id_;
  size_t next_field_;      // lines at and beyond this index are done
  std::string_view line_;  // what is left of the line at hand
  bool in_line_ = false;
};

// One entry of X-Forwarded-For: a.b.c.d, a.b.c.d:port, v6, [v6] or [v6]:port. There is no RFC;
// these are what proxies write. The port is checked and dropped. nullopt for anything else (host
// names, `unknown`, scope ids, shorthand such as 127.1) and for what cannot be a client:
// unspecified, multicast and broadcast addresses.
std::optional<net::IpAddress> ParseForwardedForEntry(std::string_view entry);

// One element of Forwarded (RFC 7239 section 4): `for=192.0.2.43;proto=https`,
// `for="[2001:db8::1]:4711"`. The whole element must follow the grammar (blanks around ";" are
// tolerated) and have one `for` that is an address, not `unknown` nor an obfuscated identifier.
std::optional<net::IpAddress> ParseForwardedElement(std::string_view element);

}  // namespace whence::trust

#endif  // WHENCE_COMMON_TRUST_HOP_CHAIN_H_
