// Moves a configuration with its whole history from one store to another.
#ifndef WHENCE_CONTROLPLANE_STORE_COPY_H_
#define WHENCE_CONTROLPLANE_STORE_COPY_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "controlplane/store/store.h"

namespace whence::store {

struct CopyResult {
  uint64_t copied = 0;    // revisions; 0: all were there
  uint64_t revision = 0;  // the newest
};

// Every revision with its number, time, author, message and documents, oldest first; then the two
// are compared. `to` must be empty, or hold the beginning of the same history: a copy that was
// broken off goes on where it was (kFailedPrecondition otherwise, and nothing is changed). Nobody
// may change either meanwhile. `progress` (may be null): revisions done, of how many.
absl::StatusOr<CopyResult> Copy(Store& from, Store& to,
                                const std::function<void(uint64_t, uint64_t)>& progress);

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_COPY_H_
