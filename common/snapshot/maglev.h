// Consistent hashing after Google's Maglev (Eisenbud and others, NSDI 2016, section 3.4).
//
// Every endpoint has its own permutation of the table's places, from two hashes of its name. They
// take turns, each taking the next place of its permutation that is still free, until the table is
// full. So each gets its share of the places, a lookup is one array access, and an endpoint that
// comes or goes moves hardly more than its own share.
//
//   places   0 1 2 3 4 5 6        a: 3 0 4 1 5 2 6      b: 0 2 4 6 1 3 5
//   taken    b a b a a b b        a takes 3, b 0, a 4 (0 is gone), b 2, a 1, b 6, ...
#ifndef WHENCE_COMMON_SNAPSHOT_MAGLEV_H_
#define WHENCE_COMMON_SNAPSHOT_MAGLEV_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whence::snapshot {

// The same in every agent and for ever: gateways side by side must agree on a client's endpoint.
uint64_t StableHash(std::string_view bytes, uint64_t seed = 0);

// Immutable after construction; safe from any thread.
class MaglevTable {
 public:
  static constexpr uint32_t kMaxSize = 5'000'011;  // Istio's bound; such a table takes 20 MB

  MaglevTable() = default;
  // `names` with their weights, 0 counting as 1; names differ. `size` is prime, or 0: a hundred
  // places for each, at least.
  explicit MaglevTable(const std::vector<std::pair<std::string, uint32_t>>& names,
                       uint32_t size = 0);

  bool empty() const { return places_.empty(); }
  size_t size() const { return places_.size(); }
  // The index of a name. REQUIRES: not empty.
  uint32_t Find(uint64_t hash) const { return places_[hash % places_.size()]; }

  static bool IsPrime(uint32_t number);
  // A prime that a table can have for its size.
  static bool IsSize(uint32_t number) {
    return number >= 3 && number <= kMaxSize && IsPrime(number);
  }

 private:
  std::vector<uint32_t> places_;
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_MAGLEV_H_
