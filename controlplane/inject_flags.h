// The flags that say how pods are injected, the same for whencectl inject and for the webhook.
#ifndef WHENCE_CONTROLPLANE_INJECT_FLAGS_H_
#define WHENCE_CONTROLPLANE_INJECT_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/inject/settings.h"

namespace CLI {
class App;
}

namespace whence::control {

// What CLI11 writes into.
struct InjectFlags {
  inject::Settings settings;
  bool classic = false;      // settings.native_sidecar, as the flag says it
  bool keep_probes = false;  // settings.rewrite_probes, likewise
};

// `prefix`: before each name: "" or "inject-". `flags` must outlive `app`'s parsing.
void DeclareInjectFlags(CLI::App& app, const std::string& prefix, InjectFlags& flags);

// InvalidArgument names the flag.
absl::StatusOr<inject::Settings> SettingsOf(const InjectFlags& flags, const std::string& prefix);

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_INJECT_FLAGS_H_
