#include "controlplane/security/refusals.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/base/utf8.h"

namespace whence::security {
namespace {

constexpr size_t kMaxTextBytes = 512;

void Bound(std::string* text) { *text = std::string(CutUtf8(ValidUtf8(*text), kMaxTextBytes)); }

bool Same(const Refusal& a, const Refusal& b) {
  // Not the address: a client that comes back has another port.
  return a.peer == b.peer && a.method == b.method && a.reason == b.reason;
}

}  // namespace

void Refusals::Record(Refusal refusal) {
  for (std::string* text : {&refusal.peer, &refusal.address, &refusal.method, &refusal.reason}) {
    Bound(text);
  }
  WallTime now = clock_.Now();
  uint64_t count;
  {
    std::lock_guard lock(mutex_);
    ++total_;
    auto known = std::find_if(entries_.begin(), entries_.end(), [&](const RefusalEntry& entry) {
      return Same(entry.refusal, refusal);
    });
    RefusalEntry entry{refusal, now, now, 0};
    if (known != entries_.end()) {
      entry.first = known->first;
      entry.count = known->count;
      entries_.erase(known);
    }
    count = ++entry.count;
    entries_.push_back(std::move(entry));
    if (entries_.size() > kMaxEntries) entries_.pop_front();
  }
  if (!std::has_single_bit(count)) return;
  logger_.Warning("refused", {{"peer", refusal.peer},
                              {"address", refusal.address},
                              {"method", refusal.method},
                              {"reason", refusal.reason},
                              {"times", count}});
}

std::vector<RefusalEntry> Refusals::Entries() const {
  std::lock_guard lock(mutex_);
  return {entries_.rbegin(), entries_.rend()};
}

uint64_t Refusals::total() const {
  std::lock_guard lock(mutex_);
  return total_;
}

void Refusals::Collect(metrics::TextWriter& out) const {
  out.Counter("whence_control_refused_calls_total",
              "Calls, streams and subscriptions refused to who was not allowed them.");
  out.Sample(total());
}

}  // namespace whence::security
