#include "common/snapshot/maglev.h"

#include <algorithm>

namespace whence::snapshot {
namespace {

// Largest primes below powers of two, and Envoy's default at the end.
constexpr uint32_t kSizes[] = {251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537};

uint32_t SizeFor(size_t names) {
  for (const uint32_t size : kSizes) {
    if (size >= names * 100) return size;
  }
  return kSizes[std::size(kSizes) - 1];
}

}  // namespace

uint64_t StableHash(std::string_view bytes, uint64_t seed) {
  // FNV-1a, then MurmurHash3's finalizer: the former alone leaves the high bits of short texts
  // poor.
  uint64_t hash = 0xcbf29ce484222325 ^ seed;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

bool MaglevTable::IsPrime(uint32_t number) {
  if (number < 2) return false;
  for (uint32_t divisor = 2; uint64_t{divisor} * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return true;
}

MaglevTable::MaglevTable(const std::vector<std::pair<std::string, uint32_t>>& names,
                         uint32_t size) {
  if (names.empty()) return;
  if (size == 0) size = SizeFor(names.size());
  struct Turn {
    uint64_t next, skip;
    uint64_t weight, due;  // has its turn whenever its weight has added up to the largest
  };
  std::vector<Turn> turns;
  uint64_t largest = 1;
  for (const auto& [name, weight] : names) {
    turns.push_back({StableHash(name) % size, StableHash(name, 1) % (size - 1) + 1,
                     std::max<uint64_t>(weight, 1), 0});
    largest = std::max<uint64_t>(largest, weight);
  }
  constexpr uint32_t kFree = UINT32_MAX;
  places_.assign(size, kFree);
  for (uint32_t taken = 0; taken < size;) {
    for (uint32_t i = 0; i < turns.size() && taken < size; ++i) {
      Turn& turn = turns[i];
      turn.due += turn.weight;
      if (turn.due < largest) continue;
      turn.due -= largest;
      while (places_[turn.next] != kFree) turn.next = (turn.next + turn.skip) % size;
      places_[turn.next] = i;
      ++taken;
    }
  }
}

}  // namespace whence::snapshot
