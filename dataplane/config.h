// The command line of whence-agent as a validated value.
#ifndef WHENCE_DATAPLANE_CONFIG_H_
#define WHENCE_DATAPLANE_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/bundle/inventory.h"
#include "common/net/socket_address.h"
#include "dataplane/admin/app_probes.h"
#include "dataplane/log.h"
#include "dataplane/proxy/data_plane.h"
#include "dataplane/rpc/channel.h"
#include "dataplane/validate_command.h"

namespace whence {

struct AgentConfig {
  // Where the configuration comes from: exactly one.
  rpc::ChannelOptions control_plane;               // `target` empty: none
  std::string static_directory;                    // empty: none
  std::vector<bundle::Workload> static_workloads;  // with --static: the others of the inventory

  bundle::Workload self;
  proxy::DataPlaneOptions data_plane;
  std::string interception;  // as given: "tproxy"
  bool ports_given = false;  // which ports are intercepted: self.included_ports, .excluded_ports

  std::string state_directory;  // empty: nothing is kept on disk
  uint64_t spool_bytes = 0;
  std::string dns_servers;                  // for c-ares; empty: /etc/resolv.conf
  std::string access_log;                   // JSON Lines file, "-" is standard output; empty: none
  std::optional<net::SocketAddress> admin;  // none: off
  std::optional<net::SocketAddress> metrics;
  std::optional<net::SocketAddress> health;
  admin::AppProbes app_probes;  // answered on `health`
  std::chrono::milliseconds drain_timeout{};
  Log::Level log_level = Log::Level::kInfo;
};

// Either something to do, or a text to print and an exit code.
struct CommandLine {
  enum class Command { kNone, kRun, kValidate, kIntercept };
  Command command = Command::kNone;
  AgentConfig run;
  bool ignore_unsupported = false;  // run --static
  ValidateOptions validate;
  std::vector<std::string> arguments;  // intercept: what follows the word

  int exit_code = 0;  // kNone
  std::string out;    // for standard output
  std::string error;  // for standard error: one line, says how to mend
};

// What the flags default to on this machine; passed in, so that parsing is the same everywhere.
struct HostDefaults {
  std::string host_name;
  int cpus = 1;
  std::vector<net::IpAddress> addresses;            // of all interfaces, loopback left out
  std::vector<net::IpAddress> broadcast_addresses;  // of their networks
};

// Flags, and the environment for those that are not given (--pod-ip is WHENCE_POD_IP).
CommandLine ParseCommandLine(int argc, const char* const* argv, const HostDefaults& host);

}  // namespace whence

#endif  // WHENCE_DATAPLANE_CONFIG_H_
