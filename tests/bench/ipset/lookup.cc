// What a compiled set of a million CIDRs costs: a lookup, a compilation, its memory, a change.
//
//   whence-bench-ipset [COUNT]
//
// Times are of the thread's CPU, since the machine is shared. Addresses are drawn before the clock runs. "hits" are members' addresses in random order, the worst
// case for the caches; "random" are any addresses of the same spread.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "common/net/cidr_set.h"
#include "common/net/packed_cidrs.h"

namespace whence::net {
namespace {

// Of this thread, in seconds.
double Now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}
double Seconds(double since) { return Now() - since; }

enum class Spread { kWide, kCrowded };

// Half of them IPv4. Wide: anywhere in what is routed. Crowded: in one /8, and in one /32.
IpAddress Draw(std::mt19937_64& random, bool v4, Spread spread) {
  if (v4) {
    const auto any = static_cast<uint32_t>(random());
    return IpAddress::FromV4(spread == Spread::kWide ? any : 0x0a000000 | (any & 0xffffff));
  }
  IpAddress::Bytes bytes;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  bytes[0] = 0x20 | (spread == Spread::kWide ? bytes[0] & 0x0f : 0);
  if (spread == Spread::kCrowded) bytes[1] = 0x01, bytes[2] = 0x0d, bytes[3] = 0xb8;
  return IpAddress::FromV6(bytes);
}

PackedCidrs Make(std::mt19937_64& random, size_t count, double v4_part, Spread spread) {
  constexpr int kV4Lengths[] = {24, 24, 28, 32, 32, 32};
  constexpr int kV6Lengths[] = {48, 64, 64, 128};
  PackedCidrs set;
  while (set.size() < count) {  // duplicates are drawn anew
    CidrPacker packer;
    for (size_t i = set.size(); i < count; ++i) {
      const bool v4 = static_cast<double>(random() % 1000) < v4_part * 1000;
      const IpAddress address = Draw(random, v4, spread);
      packer.Add(v4 ? Cidr(address, kV4Lengths[random() % 6])
                    : Cidr(address, kV6Lengths[random() % 4]));
    }
    set = Union(set, packer.Finish());
  }
  return set;
}

// Nanoseconds a lookup: the best of five rounds, as the machine is shared.
double Lookups(const CidrSet& set, const std::vector<IpAddress>& addresses, size_t* found) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    size_t members = 0;
    const double begin = Now();
    for (const IpAddress& address : addresses) members += set.Contains(address);
    best = std::min(best, Seconds(begin) * 1e9 / static_cast<double>(addresses.size()));
    *found = members;
  }
  return best;
}

void Measure(const char* name, size_t count, double v4_part, Spread spread) {
  std::mt19937_64 random(20261125);
  const PackedCidrs packed = Make(random, count, v4_part, spread);
  const double begin = Now();
  const CidrSet set(packed);
  const double compile = Seconds(begin);

  std::vector<IpAddress> hits, any;
  ForEach(packed, [&](const Cidr& cidr) { hits.push_back(cidr.network()); });
  std::shuffle(hits.begin(), hits.end(), random);
  for (size_t i = 0; i < 1'000'000; ++i) {
    any.push_back(Draw(random, static_cast<double>(random() % 1000) < v4_part * 1000, spread));
  }
  size_t hit_count = 0, found = 0;
  const double hit_ns = Lookups(set, hits, &hit_count);
  const double any_ns = Lookups(set, any, &found);

  std::vector<Cidr> ten;
  for (int i = 0; i < 10; ++i) ten.emplace_back(IpAddress::FromV4(0xc6120000 + i * 256), 24);
  const PackedCidrs changed = Union(packed, Pack(ten));
  const double change = Now();
  const CidrDelta delta = Difference(packed, changed);
  const double difference = Seconds(change);
  const double apply = Now();
  const CidrSet next(ApplyDelta(packed, delta).value());
  std::printf(
      "| %s | %zu | %.0f | %.0f | %.0f | %.1f | %.1f | %.0f | %.0f |\n", name, packed.size(),
      hit_ns, any_ns, compile * 1e3, static_cast<double>(packed.bytes()) / (1 << 20),
      static_cast<double>(set.memory_bytes()) / (1 << 20), difference * 1e3, Seconds(apply) * 1e3);
  if (hit_count != hits.size() || next.size() != changed.size()) std::exit(1);
}

}  // namespace
}  // namespace whence::net

int main(int argc, char** argv) {
  using whence::net::Spread;
  const size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  std::printf(
      "| set | CIDRs | ns/lookup, hits | ns/lookup, random | compile ms | list MiB | compiled "
      "MiB | difference of ten, ms | applied and compiled, ms |\n|---|---|---|---|---|---|"
      "---|---|---|\n");
  whence::net::Measure("mixed, wide", count, 0.5, Spread::kWide);
  whence::net::Measure("mixed, crowded", count, 0.5, Spread::kCrowded);
  whence::net::Measure("IPv4, wide", count, 1, Spread::kWide);
  whence::net::Measure("IPv6, wide", count, 0, Spread::kWide);
  whence::net::Measure("mixed, wide, a tenth", count / 10, 0.5, Spread::kWide);
  whence::net::Measure("mixed, wide, a hundredth", count / 100, 0.5, Spread::kWide);
  return 0;
}
