// How many accesses were begun, and how many of them are in the spool: in a file that survives the
// process, so that what a killed agent takes with it is known by number.
//
// What is lost with a process that is killed are the records in its rings (written at most 200 ms
// ago), and those of requests and connections under way, which are written at their end. Workers
// count what they begin; whoever appends to the spool counts what it carries. Both counts are in
// memory that is a file's: nothing is called to write them, and the kernel keeps them when the
// process goes. The next start reports the difference as one gap record.
//
//   begun by all workers - carried into the spool = lost
//
// The spool and the count of what is in it cannot change at once. So the count has two places: the
// next one is prepared before the append and made the valid one behind it; after a kill in between,
// the spool itself tells by its last sequence number which of the two is true.
//
// A power failure may take back what the kernel had not written; then the numbers are as old as
// the file.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_TALLY_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_TALLY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace whence::access_log {

// What stands in the file. Written by processes that may be killed at any instruction.
struct TallyPage;

class Tally {
 public:
  static constexpr int kMaxWorkers = 256;

  // Begins a new count in place of whatever the file had. REQUIRES: workers <= kMaxWorkers.
  static absl::StatusOr<std::unique_ptr<Tally>> Create(const std::string& path,
                                                       const std::string& boot, int workers);
  // What an earlier process left. Null: nothing, or nothing that we can read.
  static absl::StatusOr<std::unique_ptr<Tally>> Load(const std::string& path);
  ~Tally();
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  // The worker's, and nobody else's to write.
  std::atomic<uint64_t>* begun(int worker);

  // Around an append to the spool: after it, `next_seq` is the next sequence number, and `accesses`
  // more are in it. One thread at a time.
  void Prepare(uint64_t next_seq, uint64_t accesses);
  void Commit();

  // For one that was loaded. `spooled`: the last sequence number that the spool has of boot().
  struct Loss {
    uint64_t accesses = 0;
    uint64_t seq = 0;  // for the gap record
  };
  Loss Resolve(std::optional<uint64_t> spooled);
  std::string boot() const;

 private:
  explicit Tally(TallyPage* page) : page_(page) {}
  static absl::StatusOr<std::unique_ptr<Tally>> Map(const std::string& path);

  TallyPage* const page_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_TALLY_H_
