// A set of header fields of one head, by index: which are dropped, which were seen.
#ifndef WHENCE_COMMON_HTTP_FIELD_SET_H_
#define WHENCE_COMMON_HTTP_FIELD_SET_H_

#include <cstddef>
#include <cstdint>

namespace whence::http {

// Two words instead of std::bitset: copying, joining and testing stay in registers.
class FieldSet {
 public:
  static constexpr size_t kCapacity = 128;

  // REQUIRES: index < kCapacity, which HeadStorage guarantees for the fields of a head.
  constexpr void Add(size_t index) { words_[index >> 6] |= uint64_t{1} << (index & 63); }
  constexpr void Remove(size_t index) { words_[index >> 6] &= ~(uint64_t{1} << (index & 63)); }
  constexpr bool Contains(size_t index) const { return (words_[index >> 6] >> (index & 63)) & 1; }
  constexpr bool empty() const { return (words_[0] | words_[1]) == 0; }

  constexpr FieldSet& operator|=(const FieldSet& other) {
    words_[0] |= other.words_[0];
    words_[1] |= other.words_[1];
    return *this;
  }
  friend constexpr FieldSet operator|(FieldSet a, const FieldSet& b) { return a |= b; }
  friend constexpr bool operator==(const FieldSet&, const FieldSet&) = default;

 private:
  uint64_t words_[2] = {0, 0};
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_FIELD_SET_H_
