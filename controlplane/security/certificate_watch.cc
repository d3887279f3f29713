#include "controlplane/security/certificate_watch.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::security {
namespace {

using std::chrono::hours;
constexpr std::chrono::minutes kInterval(1);

std::string_view Words(Expiry expiry) {
  switch (expiry) {
    case Expiry::kOver:
      return "certificate has expired: new connections fail until it is replaced";
    case Expiry::kOneDay:
      return "certificate expires within a day: replace it";
    default:
      return "certificate expires within seven days: replace it";
  }
}

}  // namespace

Expiry ExpiryAt(WallTime now, WallTime not_after) {
  if (not_after <= now) return Expiry::kOver;
  if (not_after - now <= hours(24)) return Expiry::kOneDay;
  if (not_after - now <= hours(7 * 24)) return Expiry::kSevenDays;
  return Expiry::kFar;
}

CertificateWatch::CertificateWatch(std::vector<std::pair<std::string, std::string>> files,
                                   const Clock& clock, const log::Logger& logger)
    : files_(std::move(files)), clock_(clock), logger_(logger) {
  Check();
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kInterval, [this] { return stop_; })) {
      lock.unlock();
      Check();
      lock.lock();
    }
  });
}

CertificateWatch::~CertificateWatch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void CertificateWatch::Check() {
  for (const auto& [flag, path] : files_) CheckFile(flag, path);
}

void CertificateWatch::CheckFile(const std::string& flag, const std::string& path) {
  absl::StatusOr<std::vector<CertificateInfo>> certificates = ReadCertificates(flag, path);
  if (!certificates.ok()) {
    logger_.Warning("certificate file cannot be used: the one read before stays",
                    {{"why", std::string(certificates.status().message())}});
    return;
  }
  const CertificateInfo& first =
      *std::min_element(certificates->begin(), certificates->end(),
                        [](const auto& a, const auto& b) { return a.not_after < b.not_after; });
  Expiry expiry = ExpiryAt(clock_.Now(), first.not_after);
  bool is_new, warn;
  {
    std::lock_guard lock(mutex_);
    Seen& seen = seen_[flag];
    is_new = !seen.serial.empty() && seen.serial != first.serial;
    if (seen.serial != first.serial) seen = {first.serial, first.not_after, Expiry::kFar};
    warn = expiry > seen.warned;
    seen.warned = std::max(seen.warned, expiry);
  }
  if (is_new) {
    logger_.Info("certificate file was replaced",
                 {{"file", path}, {"subject", first.subject}, {"serial", first.serial}});
  }
  if (!warn) return;
  auto left = std::chrono::duration_cast<hours>(first.not_after - clock_.Now()).count();
  logger_.Warning(Words(expiry),
                  {{"file", path}, {"subject", first.subject}, {"hours_left", left}});
}

void CertificateWatch::Collect(metrics::TextWriter& out) const {
  std::lock_guard lock(mutex_);
  if (seen_.empty()) return;
  out.Gauge("whence_control_certificate_expiry_timestamp_seconds",
            "When the control plane's certificates (cert, webhook-cert) and the CA it trusts (ca) "
            "expire.");
  for (const auto& [flag, seen] : seen_) {
    auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(seen.not_after.time_since_epoch());
    out.Sample(static_cast<uint64_t>(std::max<int64_t>(seconds.count(), 0)),
               {{"file", std::string_view(flag).substr(2)}});
  }
}

}  // namespace whence::security
