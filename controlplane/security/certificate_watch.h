// Warns before the control plane's own certificates run out, and says when new ones were taken.
//
// gRPC reads the files again by itself (tls.h). This only reads along: seven days and one day before
// the end, and at it, a line in the log; at any time a metric.
#ifndef WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_WATCH_H_
#define WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_WATCH_H_

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/security/certificate.h"

namespace whence::security {

// How near the end is. Pure.
enum class Expiry { kFar, kSevenDays, kOneDay, kOver };
Expiry ExpiryAt(WallTime now, WallTime not_after);

// Thread-safe.
class CertificateWatch final : public metrics::Source {
 public:
  // A flag ("--cert") and its file. `clock` and `logger` must outlive *this.
  CertificateWatch(std::vector<std::pair<std::string, std::string>> files, const Clock& clock,
                   const log::Logger& logger);
  ~CertificateWatch() override;

  // One look, as the thread takes it every minute.
  void Check();
  void Collect(metrics::TextWriter& out) const override;

 private:
  struct Seen {
    std::string serial;
    WallTime not_after{};
    Expiry warned = Expiry::kFar;
  };
  void CheckFile(const std::string& flag, const std::string& path);

  const std::vector<std::pair<std::string, std::string>> files_;
  const Clock& clock_;
  const log::Logger& logger_;

  mutable std::mutex mutex_;
  std::map<std::string, Seen> seen_;  // by mutex_; by flag: the certificate that ends first
  std::condition_variable wake_;
  bool stop_ = false;  // by mutex_
  std::thread thread_;
};

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_WATCH_H_
