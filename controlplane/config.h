// Flags and environment -> one validated struct.
#ifndef WHENCE_CONTROLPLANE_CONFIG_H_
#define WHENCE_CONTROLPLANE_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/etcd/endpoints.h"
#include "controlplane/listen_address.h"
#include "controlplane/log/logger.h"
#include "controlplane/security/tls.h"
#include "controlplane/webhook/webhook.h"

namespace whence::control {

struct Config {
  std::string data_dir;
  std::optional<etcd::Options> etcd;        // where the configuration is; nullopt: config.db
  std::optional<ListenAddress> listen;      // plaintext gRPC; nullopt: none
  std::optional<ListenAddress> listen_tls;  // gRPC over TLS; nullopt: none
  security::TlsFiles tls;
  std::string trust_domain;                       // whose certificates name anybody here
  std::optional<ListenAddress> http;              // metrics, health; nullopt: none
  std::optional<webhook::WebhookConfig> webhook;  // injection for Kubernetes; nullopt: none
  std::chrono::seconds log_retention{};
  uint64_t log_max_bytes = 0;
  double admit_per_second = 2500;  // discovery streams that may begin
  log::Level log_level = log::Level::kInfo;
};

// What a command line comes to: a configuration to run with, or something to print and an exit code
// (0 after --help and --version, 2 for wrong usage).
struct CommandLine {
  std::optional<Config> config;
  int exit_code = 0;
  std::string out;
  std::string error;  // one line
};

// Reads the environment too (each flag's WHENCE_… variable; the flag wins).
CommandLine ParseCommandLine(int argc, const char* const* argv);

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_CONFIG_H_
