// How a pod is to be injected: the operator's defaults, overlaid by the pod's annotations.
#ifndef WHENCE_COMMON_INJECT_SETTINGS_H_
#define WHENCE_COMMON_INJECT_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/inject/edit.h"

namespace whence::inject {

struct Settings {
  std::string control_plane = "whence-control.whence-system.svc:15012";
  std::string image = "whence-agent:" WHENCE_VERSION;
  // A Secret with ca.crt, tls.crt and tls.key; empty: plaintext to the control plane.
  std::string certs_secret = "whence-agent-certs";
  // A sidecar as init container with restartPolicy Always (Kubernetes 1.29): up before the
  // application, gone after it, no hindrance to a Job's end. False: an ordinary container.
  bool native_sidecar = true;
  bool rewrite_probes = true;
  std::string mode = "tproxy";  // or redirect
  std::string on_exit = "block";
  std::string include_ports, exclude_ports;  // comma-separated; empty: all, none
  // Who sets the three sysctls of TPROXY. "pod": the pod's securityContext, which the kubelet must
  // allow. "init": the init container, which then has to be privileged.
  std::string sysctls = "pod";
  std::string cpu_request = "50m", memory_request = "32Mi", cpu_limit, memory_limit = "128Mi";
};

// As the agent and Kubernetes take them, or InvalidArgument: it begins with the flag that says the
// setting, without its dashes. Ports lose their spaces.
absl::Status Normalize(Settings* settings);

// What one pod's annotations make of the defaults.
struct PodSettings {
  Settings settings;
  bool wanted = true;                 // false: whence.dev/inject (or Istio's) says so
  std::vector<std::string> warnings;  // Istio annotations that cannot be followed
  // proxy.istio.io/config's gatewayTopology as a TrustTopology's spec; null: none. It is no setting
  // of a container: an operator applies it with whencectl.
  Json trust_topology;
};

// `metadata`: of the pod or its template. whence.dev/… wins over Istio's spelling of the same.
// Errors name the annotation, its value and what is expected.
absl::StatusOr<PodSettings> ReadSettings(const Settings& defaults, const Json& metadata);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_SETTINGS_H_
