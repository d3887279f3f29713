// What every implementation of the store decides alike.
#ifndef WHENCE_CONTROLPLANE_STORE_VALUES_H_
#define WHENCE_CONTROLPLANE_STORE_VALUES_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/net/packed_cidrs.h"
#include "controlplane/store/store.h"

namespace whence::store {

// Large sets are kept as differences from what they were. A longer chain than this is cut by a
// whole content: reading one costs its bytes and a merge per step.
inline constexpr int kMaxContentSteps = 64;

// "IpPolicy shop/edge"
std::string Name(const DocumentKey& key);

// Same value, same bytes: otherwise an unchanged document could look changed (maps have no order).
std::string Serialize(const v1::Document& document);

// `old_kind`: how the value before was written; of use if it is deleted.
v1::Change ChangeOf(const Mutation& mutation, bool existed, bool same, const std::string& old_kind);

// Takes a packed content out of the document and leaves its version. Nullopt: there is none.
std::optional<net::PackedCidrs> TakeOutContent(v1::Document* document);

// kNotFound, kAborted, as Commit returns them.
absl::Status NoSuchDocument(const DocumentKey& key);
absl::Status AtAnotherRevision(uint64_t current, uint64_t expected);
// kInvalidArgument: a copy that would go back.
absl::Status NotRising(uint64_t current, uint64_t asked);

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_VALUES_H_
