// Injection by the API server: POST /inject with an AdmissionReview, over HTTPS.
//
// It changes nothing here and reveals nothing but the settings of injection, so clients need no
// certificate; who they are, a NetworkPolicy may narrow.
#ifndef WHENCE_CONTROLPLANE_WEBHOOK_WEBHOOK_H_
#define WHENCE_CONTROLPLANE_WEBHOOK_WEBHOOK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/inject/settings.h"
#include "controlplane/listen_address.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/webhook/https_server.h"

namespace whence::webhook {

struct WebhookConfig {
  control::ListenAddress address;
  std::string certificate, key;  // PEM files; may be replaced while it runs
  inject::Settings settings;
};

// Thread-safe.
class Webhook final : public metrics::Source {
 public:
  // `logger` must outlive *this.
  static absl::StatusOr<std::unique_ptr<Webhook>> Start(const WebhookConfig& config,
                                                        const log::Logger& logger);

  int port() const { return server_->port(); }
  void Collect(metrics::TextWriter& out) const override;

 private:
  Webhook(inject::Settings settings, const log::Logger& logger)
      : settings_(std::move(settings)), logger_(logger) {}
  HttpResponse Handle(const HttpRequest& request);
  HttpResponse Inject(const HttpRequest& request);

  const inject::Settings settings_;
  const log::Logger& logger_;
  std::atomic<uint64_t> injected_{0}, left_alone_{0}, refused_{0}, bad_requests_{0};
  std::unique_ptr<HttpsServer> server_;  // last: its thread uses the others
};

}  // namespace whence::webhook

#endif  // WHENCE_CONTROLPLANE_WEBHOOK_WEBHOOK_H_
