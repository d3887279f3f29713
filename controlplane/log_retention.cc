#include "controlplane/log_retention.h"

#include <algorithm>
#include <limits>

#include "common/bundle/config_view.h"
#include "common/document/values.h"
#include "common/wire/faults.h"
#include "common/wire/trust.h"

namespace whence::control {
namespace {

// Ten thousand years: in microseconds it still fits, whatever a document says.
constexpr uint64_t kMaxSeconds = uint64_t{10'000} * 366 * 86'400;
constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();

}  // namespace

access_log::SegmentLimits LogLimits(const v1::MeshSpec& mesh, const LogDefaults& defaults) {
  // Texts were checked when they were applied; what could not be read says nothing.
  const uint64_t seconds = document::ParseDurationSeconds(mesh.log_retention()).value_or(0);
  const uint64_t bytes = document::ParseSizeBytes(mesh.log_max_size()).value_or(0);
  const std::chrono::seconds retention =
      seconds == 0 ? defaults.retention : std::chrono::seconds(std::min(seconds, kMaxSeconds));
  return access_log::SegmentLimits::For(
      retention,
      static_cast<int64_t>(std::min(bytes == 0 ? defaults.max_bytes : bytes, kMaxBytes)));
}

access_log::SegmentLimits LimitsBeforeLoad(const LogDefaults& defaults) {
  access_log::SegmentLimits limits = LogLimits({}, defaults);
  limits.retention = std::chrono::seconds(kMaxSeconds);
  limits.max_bytes = static_cast<int64_t>(kMaxBytes);
  return limits;
}

void LogRetention::OnRevision(std::shared_ptr<const model::ConfigState> state) {
  const v1::MeshSpec& mesh = state->view->mesh();
  store_.SetLimits(LogLimits(mesh, defaults_));
  wire::Faults checked_when_applied;
  envoys_.SetKeeping({wire::ToClientPrivacy(mesh.access_log(), &checked_when_applied),
                      mesh.access_log().keep_query()});
}

}  // namespace whence::control
