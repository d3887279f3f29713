#include "controlplane/inject_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

namespace whence::control {

void DeclareInjectFlags(CLI::App& app, const std::string& prefix, InjectFlags& flags) {
  inject::Settings& settings = flags.settings;
  const auto add = [&](const char* name, std::string& value, const char* help) {
    return app.add_option("--" + prefix + name, value, help)->capture_default_str();
  };
  add("image", settings.image, "The agent's image");
  add("agent-control-plane", settings.control_plane, "HOST:PORT that the agents connect to");
  add("certs-secret", settings.certs_secret,
      "Secret with ca.crt, tls.crt and tls.key; \"\": plaintext to the control plane");
  add("mode", settings.mode, "Interception")->check(CLI::IsMember({"tproxy", "redirect"}));
  add("on-exit", settings.on_exit, "Without an agent: block connections, or bypass it")
      ->check(CLI::IsMember({"block", "bypass"}));
  add("include-inbound-ports", settings.include_ports, "Intercept only these: 8080,9090");
  add("exclude-inbound-ports", settings.exclude_ports, "Never intercept these");
  add("sysctls", settings.sysctls,
      "pod: by the pod's securityContext, which the kubelet must allow; init: by a privileged init "
      "container")
      ->check(CLI::IsMember({"pod", "init"}));
  app.add_flag("--" + prefix + "classic", flags.classic,
               "An ordinary container, for Kubernetes before 1.29");
  app.add_flag("--" + prefix + "keep-probes", flags.keep_probes,
               "Leave the kubelet's probes as they are: policy judges them");
}

absl::StatusOr<inject::Settings> SettingsOf(const InjectFlags& flags, const std::string& prefix) {
  inject::Settings settings = flags.settings;
  settings.native_sidecar = !flags.classic;
  settings.rewrite_probes = !flags.keep_probes;
  const absl::Status status = inject::Normalize(&settings);
  if (status.ok()) return settings;
  return absl::Status(status.code(), absl::StrCat("--", prefix, status.message()));
}

}  // namespace whence::control
