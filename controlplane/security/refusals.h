// What was refused, to whom, and why: one place, three ways to see it (log, metric, RPC).
//
// The same refusal repeated (an agent with the wrong certificate tries for ever) is one entry whose
// count rises, and is logged when that count has doubled: the record is bounded, and no flood of
// refused calls pushes the others out.
#ifndef WHENCE_CONTROLPLANE_SECURITY_REFUSALS_H_
#define WHENCE_CONTROLPLANE_SECURITY_REFUSALS_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"

namespace whence::security {

struct Refusal {
  std::string peer;     // SPIFFE ID, or how else the certificate is named; empty: none was shown
  std::string address;  // empty: not known where it was refused
  std::string method;   // "/package.Service/Method"
  std::string reason;
};

struct RefusalEntry {
  Refusal refusal;
  WallTime first{};
  WallTime last{};
  uint64_t count = 0;
};

// Thread-safe.
class Refusals final : public metrics::Source {
 public:
  static constexpr size_t kMaxEntries = 256;  // the oldest goes

  // Both must outlive *this.
  Refusals(const Clock& clock, const log::Logger& logger) : clock_(clock), logger_(logger) {}

  // Texts are bounded and made printable here: they come from certificates and requests.
  void Record(Refusal refusal);

  // The latest first.
  std::vector<RefusalEntry> Entries() const;
  uint64_t total() const;
  void Collect(metrics::TextWriter& out) const override;

 private:
  const Clock& clock_;
  const log::Logger& logger_;
  mutable std::mutex mutex_;
  std::deque<RefusalEntry> entries_;  // by mutex_; the latest last
  uint64_t total_ = 0;                // by mutex_
};

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_REFUSALS_H_
