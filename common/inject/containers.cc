#include "common/inject/containers.h"

#include "absl/strings/str_cat.h"
#include "common/inject/plan.h"

namespace whence::inject {
namespace {

Json Variable(const char* name, const std::string& value) {
  return {{"name", name}, {"value", value}};
}

Json FromPod(const char* name, const char* field) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", field}}}}}};
}

// A probe of the agent itself.
Json Probe(const char* path, int period_seconds, int failures) {
  return {{"httpGet", {{"path", path}, {"port", kHealthPort}}},
          {"periodSeconds", period_seconds},
          {"failureThreshold", failures}};
}

// Seconds that an agent serves on while a pod's end gets about among load balancers and nodes.
constexpr const char* kLingerSeconds = "5";

void AddQuantity(Json* resources, const char* kind, const char* what, const std::string& value) {
  if (!value.empty()) (*resources)[kind][what] = value;
}

Json Resources(const Settings& settings) {
  Json resources = Json::object();
  AddQuantity(&resources, "requests", "cpu", settings.cpu_request);
  AddQuantity(&resources, "requests", "memory", settings.memory_request);
  AddQuantity(&resources, "limits", "cpu", settings.cpu_limit);
  AddQuantity(&resources, "limits", "memory", settings.memory_limit);
  return resources;
}

// uid 0: Kubernetes gives added capabilities to root only. Without any other capability it owns
// what everybody owns, and its group is its own.
Json SecurityContext(const char* capability) {
  return {{"allowPrivilegeEscalation", false},
          {"capabilities", {{"drop", Json::array({"ALL"})}, {"add", Json::array({capability})}}},
          {"privileged", false},
          {"readOnlyRootFilesystem", true},
          {"runAsUser", 0},
          {"runAsGroup", 1337},
          {"runAsNonRoot", false},
          {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

std::string LabelList(const Json& labels) {
  std::string out;
  for (const auto& [key, value] : Object(labels).items()) {
    if (value.is_string()) {
      absl::StrAppend(&out, out.empty() ? "" : ",", key, "=", value.get<std::string>());
    }
  }
  return out;
}

std::string ProbeTable(const std::vector<RewrittenProbe>& probes) {
  Json table = Json::object();
  for (const RewrittenProbe& probe : probes) table[probe.url_path] = probe.original;
  return table.dump();
}

Json Environment(const Settings& settings, const Json& labels,
                 const std::vector<RewrittenProbe>& probes) {
  Json env = Json::array(
      {Variable("WHENCE_CONTROL_PLANE", settings.control_plane), Variable("WHENCE_ROLE", "sidecar"),
       Variable("WHENCE_INTERCEPTION", settings.mode), FromPod("WHENCE_NAME", "metadata.name"),
       FromPod("WHENCE_NAMESPACE", "metadata.namespace"), FromPod("WHENCE_POD_IP", "status.podIPs"),
       FromPod("WHENCE_HOST_IP", "status.hostIP"), Variable("WHENCE_STATE_DIR", "/var/lib/whence"),
       Variable("WHENCE_METRICS", absl::StrCat(":", kMetricsPort)),
       Variable("WHENCE_HEALTH", absl::StrCat(":", kHealthPort))});
  if (std::string list = LabelList(labels); !list.empty()) {
    env.push_back(Variable("WHENCE_LABELS", list));
  }
  if (!settings.certs_secret.empty()) {
    env.push_back(Variable("WHENCE_CA", "/etc/whence/certs/ca.crt"));
    env.push_back(Variable("WHENCE_CERT", "/etc/whence/certs/tls.crt"));
    env.push_back(Variable("WHENCE_KEY", "/etc/whence/certs/tls.key"));
  }
  if (!probes.empty()) env.push_back(Variable("WHENCE_APP_PROBES", ProbeTable(probes)));
  return env;
}

}  // namespace

Json InitContainer(const Settings& settings) {
  Json args = {"intercept", "install", "--mode", settings.mode, "--on-exit", settings.on_exit};
  for (const auto& [flag, ports] : {std::pair("--include-inbound-ports", settings.include_ports),
                                    {"--exclude-inbound-ports", settings.exclude_ports}}) {
    if (ports.empty()) continue;
    args.push_back(flag);
    args.push_back(ports);
  }
  Json security = SecurityContext("NET_ADMIN");
  if (settings.sysctls == "init" && settings.mode == "tproxy") {
    // An unprivileged container sees /proc/sys read-only.
    security["privileged"] = true;
    security["allowPrivilegeEscalation"] = true;
    security.erase("capabilities");
    security.erase("seccompProfile");
  }
  return {{"name", kInitContainer},
          {"image", settings.image},
          {"args", std::move(args)},
          {"resources", {{"requests", {{"cpu", "10m"}, {"memory", "16Mi"}}}}},
          {"securityContext", std::move(security)}};
}

Json AgentContainer(const Settings& settings, const Json& labels,
                    const std::vector<RewrittenProbe>& probes) {
  Json container = {
      {"name", kAgentContainer}, {"image", settings.image}, {"args", Json::array({"run"})}};
  if (settings.native_sidecar) container["restartPolicy"] = "Always";
  container["env"] = Environment(settings, labels, probes);
  container["ports"] = Json::array({{{"name", "whence-metrics"}, {"containerPort", kMetricsPort}},
                                    {{"name", "whence-health"}, {"containerPort", kHealthPort}}});
  // The application starts when the agent has its policies, not before.
  container["startupProbe"] = Probe("/healthz/ready", 1, 600);
  container["readinessProbe"] = Probe("/healthz/ready", 5, 3);
  // An agent under load is slow, not dead: a minute of silence.
  container["livenessProbe"] = Probe("/healthz/live", 10, 6);
  if (!settings.native_sidecar) {
    // A native sidecar ends after the application. This one is told to end together with it, and
    // would refuse connections that are still sent here.
    container["lifecycle"] = {
        {"preStop", {{"exec", {{"command", Json::array({"sleep", kLingerSeconds})}}}}}};
  }
  container["resources"] = Resources(settings);
  container["securityContext"] = SecurityContext("NET_RAW");
  Json mounts = Json::array({{{"name", "whence-state"}, {"mountPath", "/var/lib/whence"}}});
  if (!settings.certs_secret.empty()) {
    mounts.push_back(
        {{"name", "whence-certs"}, {"mountPath", "/etc/whence/certs"}, {"readOnly", true}});
  }
  container["volumeMounts"] = std::move(mounts);
  return container;
}

Json Volumes(const Settings& settings) {
  Json volumes = Json::array({{{"name", "whence-state"}, {"emptyDir", {{"sizeLimit", "128Mi"}}}}});
  if (!settings.certs_secret.empty()) {
    volumes.push_back({{"name", "whence-certs"},
                       {"secret", {{"secretName", settings.certs_secret}, {"defaultMode", 0440}}}});
  }
  return volumes;
}

Json Sysctls(const Settings& settings) {
  if (settings.mode != "tproxy" || settings.sysctls != "pod") return Json::array();
  return Json::array({{{"name", "net.ipv4.tcp_fwmark_accept"}, {"value", "1"}},
                      {{"name", "net.ipv4.fwmark_reflect"}, {"value", "1"}},
                      {{"name", "net.ipv6.fwmark_reflect"}, {"value", "1"}}});
}

}  // namespace whence::inject
