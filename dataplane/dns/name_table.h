// Which names are to be asked for when, and what is known of them.
//
//   due ──asked──► under way ──answer──► known, due again after its TTL (between floor and ceiling)
//    ▲                  └────failure───► as before, due again soon, then ever less soon
//    └── names appear
//
// What was known stays until there is a better answer: a name server that is away, or says that
// a name does not exist, takes no endpoint from anyone.
#ifndef WHENCE_DATAPLANE_DNS_NAME_TABLE_H_
#define WHENCE_DATAPLANE_DNS_NAME_TABLE_H_

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/net/ip_address.h"

namespace whence::dns {

// By name. The first address stays the first as long as it is there; the others are sorted.
using Answers = std::map<std::string, std::vector<net::IpAddress>>;

struct NameLimits {
  // A TTL of a second would have every gateway ask once a second; one of a day would keep it from
  // noticing a move.
  std::chrono::milliseconds floor{5'000};
  std::chrono::milliseconds ceiling{300'000};
  std::chrono::milliseconds retry{1'000};  // after a failure; doubles up to the longest
  std::chrono::milliseconds longest_retry{60'000};
};

// Pure but for its own state: time comes in as an argument. Thread-compatible.
class NameTable {
 public:
  explicit NameTable(const NameLimits& limits) : limits_(limits) {}

  // New names are due at once, those that are not wanted any more are forgotten.
  void Want(const std::set<std::string>& names, SteadyTime now);
  // The names to ask for now; they count as under way.
  std::vector<std::string> TakeDue(SteadyTime now);
  // When TakeDue has something again; nullopt: not before an answer or a new name.
  std::optional<SteadyTime> NextDue() const;

  // `addresses` in the order of the answer, not empty. True: others than before. Answers for names
  // that nobody wants any more are dropped.
  bool Answered(const std::string& name, std::vector<net::IpAddress> addresses,
                std::chrono::seconds ttl, SteadyTime now);
  void Failed(const std::string& name, SteadyTime now);

  Answers Known() const;
  size_t size() const { return names_.size(); }
  size_t failing() const;  // of which the last question failed

 private:
  struct Name {
    std::vector<net::IpAddress> addresses;
    std::optional<SteadyTime> due;  // none: under way
    uint32_t failures = 0;          // in a row
  };

  const NameLimits limits_;
  std::map<std::string, Name> names_;
};

}  // namespace whence::dns

#endif  // WHENCE_DATAPLANE_DNS_NAME_TABLE_H_
