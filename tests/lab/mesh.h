// The real programs in the lab's network: control plane, agents, applications.
#ifndef WHENCE_TESTS_LAB_MESH_H_
#define WHENCE_TESTS_LAB_MESH_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/lab/container.h"
#include "tests/lab/http.h"
#include "tests/lab/lab.h"
#include "tests/lab/network.h"
#include "tests/lab/process.h"

namespace whence::lab {

enum class Interception { kTproxy, kRedirect };

// One access record, as `select … from access_log` gives it; empty text for null.
struct LogRow {
  std::string role, workload, client, reason, peer, decision, policy;
  int status = 0;
};

// Runs the programs that stand beside this one (programs.h). Not thread-safe.
//
// With `detached` they outlive this object and this process; only the lab's removal ends them then.
class Mesh {
 public:
  Mesh(const Lab& lab, bool detached) : lab_(lab), detached_(detached) {}

  // Control plane, gateway, echo with a sidecar, and the documents that route to it. Returns when a
  // request from outside comes through.
  absl::Status Start(Interception interception);

  // Before Start: the control plane and its agents speak mTLS on 15012 only, with certificates of
  // `whencectl certs`; plaintext stays on the control plane's loopback.
  absl::Status UseMutualTls();
  // Before Start: programs run as the containers of the manifests (container.h): the echo pod's as
  // `whencectl inject` makes them, control plane, gateway and node agents as deploy/kubernetes has
  // them.
  void UseContainers() { containers_ = true; }
  // The flags of a client with the certificate of that name ("agent-default-echo").
  std::vector<std::string> TlsFlags(const std::string& certificate) const;

  absl::Status StartControlPlane();
  Process& control_plane() { return *control_plane_; }
  // Restarts the sidecar of the echo pod with another mode, rules and all.
  // `flags`: more for `intercept install`.
  absl::Status Intercept(Interception interception, const std::vector<std::string>& flags = {});
  absl::Status StartSidecar(Interception interception);
  absl::Status StartGateway();
  // An agent on the host network of each node, with its packet rules. Returns when they take the
  // gateway's node ports.
  absl::Status StartNodeAgents();
  // Ends them as a crash would and leaves their rules.
  void KillNodeAgents();
  Process& sidecar() { return *sidecar_; }
  Process& gateway() { return *gateway_; }

  // `whencectl ARGS` against the control plane of the lab.
  CommandResult Ctl(const std::vector<std::string>& args, const std::string& input = "") const;
  // Applies YAML and waits until every agent runs the revision.
  absl::Status Apply(const std::string& yaml);
  absl::Status Delete(const std::string& kind, const std::string& name_space,
                      const std::string& name);
  // Until no agent is behind `revision`, and `count` are connected.
  absl::Status WaitForAgents(uint64_t revision, size_t count = 2) const;
  // The agents as `whencectl agents -o json` lists them; null if it cannot be asked.
  nlohmann::json Agents() const;
  uint64_t Revision() const { return revision_; }
  // Until a request from outside is answered by the echo pod.
  absl::Status WaitForRoute() const;

  // Records of requests for that path, in the order of their roles (gateway before sidecar); waits
  // until there are `count`.
  absl::StatusOr<std::vector<LogRow>> Logs(const std::string& path, size_t count) const;
  // The same for TCP connections of that client to one of these ports ("31400,9000"); complete when
  // they have ended. Only of those that began at `since` or later.
  absl::StatusOr<std::vector<LogRow>> TcpLogs(const std::string& client, const std::string& ports,
                                              const std::string& since, size_t count) const;
  // The time as the access log writes it.
  static std::string Now();
  // What sqlite3 prints for a query of the log database.
  CommandResult Sql(const std::string& query, bool json = false) const;

  std::string logs_db() const { return lab_.directory() + "/control-plane/logs.db"; }
  std::string control_address() const {
    return std::string(kControl.v4) + (mutual_tls_ ? ":15012" : ":15010");
  }

 private:
  absl::StatusOr<Process> Launch(const std::string& name, const Host& host,
                                 const std::vector<std::string>& command) const;
  absl::Status StartApplications();
  // `host`: a pod, or a node.
  absl::StatusOr<Process> StartAgent(const std::string& name, const Host& host,
                                     const std::vector<std::string>& flags) const;
  // `command` as it is, or with containers as that user with those capabilities only, and `state` as
  // the only directory that it may write.
  std::vector<std::string> Contain(const std::string& state, int uid,
                                   const std::vector<std::string>& capabilities,
                                   const std::vector<std::string>& command) const;
  // The echo pod as the API server would get it, and its rules, sysctls included.
  absl::Status Inject(Interception interception);
  absl::StatusOr<Container> InjectedContainer(const std::string& container) const;
  absl::StatusOr<Process> AwaitReady(absl::StatusOr<Process> process, const Host& host) const;
  absl::StatusOr<std::vector<LogRow>> LogsWhere(const std::string& condition, size_t count) const;
  absl::Status WaitForCommit(const CommandResult& result);

  const Lab& lab_;
  const bool detached_;
  bool mutual_tls_ = false, containers_ = false;
  nlohmann::json pod_;  // with containers: the echo pod, injected
  std::optional<Process> control_plane_, gateway_, sidecar_, echo_;
  std::vector<Process> node_agents_;
  uint64_t revision_ = 0;  // of the last change we made
};

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_MESH_H_
