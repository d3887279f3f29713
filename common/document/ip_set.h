// What an IpSet holds, however it is kept.
//
// A set that a person wrote by hand is kept as written, for it is read again by people. A large one
// is a feed: it is kept packed, as 5 or 17 bytes a CIDR in canonical order instead of a million
// strings, and turned into text again only where it is printed.
#ifndef WHENCE_COMMON_DOCUMENT_IP_SET_H_
#define WHENCE_COMMON_DOCUMENT_IP_SET_H_

#include <cstddef>

#include "common/net/packed_cidrs.h"
#include "whence/v1/documents.pb.h"

namespace whence::document {

// A set with more CIDRs is kept packed.
inline constexpr int kKeptAsWritten = 1000;
// And one with more is refused.
inline constexpr size_t kMaxIpSetCidrs = size_t{1} << 20;

// REQUIRES: a spec that Parse found no fault with.
net::PackedCidrs ContentOf(const v1::IpSetSpec& spec);
size_t CountOf(const v1::IpSetSpec& spec);  // no more than written; duplicates may count twice

void SetContent(net::PackedCidrs content, v1::IpSetSpec* spec);
// Packs a large set that is still text.
void Compact(v1::IpSetSpec* spec);
// The other way: as people write it.
void Expand(v1::IpSetSpec* spec);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_IP_SET_H_
