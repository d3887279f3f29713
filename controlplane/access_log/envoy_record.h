// Envoy's access log entries -> our records. Pure.
//
// An Envoy has judged by itself who the client is: its downstream_remote_address is taken for the
// trusted client, with the reason "envoy".
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_RECORD_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_RECORD_H_

#include "absl/status/statusor.h"
#include "common/trust/client_privacy.h"
#include "controlplane/access_log/access_log_store.h"
#include "envoy/service/accesslog/v3/als.pb.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// What the mesh lets us keep; an Envoy does not know it.
struct Keeping {
  trust::ClientPrivacy privacy;
  bool keep_query = false;
};

v1::AccessRecord FromEnvoy(const envoy::data::accesslog::v3::HTTPAccessLogEntry& entry,
                           const Keeping& keeping);
v1::AccessRecord FromEnvoy(const envoy::data::accesslog::v3::TCPAccessLogEntry& entry,
                           const Keeping& keeping);

// Role "envoy". Istio's node ids ("sidecar~ADDRESS~POD.NAMESPACE~DOMAIN") name pod and namespace;
// others are a name in the namespace "envoy". InvalidArgument: there is no id.
absl::StatusOr<ReportingAgent> ReadEnvoyNode(
    const envoy::service::accesslog::v3::StreamAccessLogsMessage::Identifier& identifier);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_RECORD_H_
