// How long and how much of the access log is kept: the Mesh document's word, or the flags'.
#ifndef WHENCE_CONTROLPLANE_LOG_RETENTION_H_
#define WHENCE_CONTROLPLANE_LOG_RETENTION_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/envoy_service.h"
#include "controlplane/model/current_config.h"
#include "whence/v1/documents.pb.h"

namespace whence::control {

struct LogDefaults {
  std::chrono::seconds retention{};
  uint64_t max_bytes = 0;
};

// Pure. What the Mesh does not say is taken from `defaults`.
access_log::SegmentLimits LogLimits(const v1::MeshSpec& mesh, const LogDefaults& defaults);
// Pure. Until the configuration is loaded: nothing is given up, since the Mesh may keep more than
// the flags say.
access_log::SegmentLimits LimitsBeforeLoad(const LogDefaults& defaults);

// Carries each revision's limits to the store, and to the Envoys' entries what may be kept of them
// (our own agents are told so themselves). Both must outlive *this.
class LogRetention final : public model::ConfigListener {
 public:
  LogRetention(access_log::AccessLogStore& store, access_log::EnvoyLogService& envoys,
               const LogDefaults& defaults)
      : store_(store), envoys_(envoys), defaults_(defaults) {}
  void OnRevision(std::shared_ptr<const model::ConfigState> state) override;

 private:
  access_log::AccessLogStore& store_;
  access_log::EnvoyLogService& envoys_;
  const LogDefaults defaults_;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_LOG_RETENTION_H_
