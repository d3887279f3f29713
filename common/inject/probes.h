// The kubelet's probes of an injected pod.
//
// A probe comes from the node's address to the application's port, where the agent would judge it
// by policy and record it. So the pod is rewritten: the kubelet asks the agent, on its health port,
// and the agent asks the application from inside the pod, which is not intercepted.
#ifndef WHENCE_COMMON_INJECT_PROBES_H_
#define WHENCE_COMMON_INJECT_PROBES_H_

#include <optional>
#include <string>
#include <vector>

#include "common/inject/edit.h"

namespace whence::inject {

struct RewrittenProbe {
  Path entry;             // such as spec/containers/0/livenessProbe/httpGet
  std::string name;       // "web/livenessProbe": how the original is remembered
  std::string url_path;   // "/app-health/web/livez"
  Json original;          // {"httpGet": {…}}, ports as numbers, and timeoutSeconds
  Json original_handler;  // as it was written, to put it back
};

// The HTTP, TCP and gRPC probes of all containers of `pod` (with metadata and spec). Left as they
// are: exec, which the kubelet runs inside; a probe of another host; and, with `warnings`, one whose
// named port is not declared, and one over TLS.
std::vector<RewrittenProbe> FindProbes(const Json& pod, std::vector<std::string>* warnings);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_PROBES_H_
