// The command line of `whencectl certs`.
#ifndef WHENCE_CONTROLPLANE_CTL_CERTS_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_CERTS_OPTIONS_H_

#include <chrono>
#include <string>
#include <vector>

#include "controlplane/security/identity.h"

namespace CLI {
class App;
}

namespace whence::ctl {

enum class Output { kTable, kYaml, kJson };

struct CertsInitOptions {
  std::string directory;
  std::string trust_domain;
  std::chrono::hours validity{};
  Output output = Output::kTable;
};

struct CertsIssueOptions {
  std::string directory;        // where the CA is
  std::string prefix;           // PREFIX.crt, PREFIX.key
  security::Identity identity;  // the trust domain is the CA's
  std::vector<std::string> addresses, labels;
  std::chrono::hours validity{};
  Output output = Output::kTable;
};

// What CLI11 writes into.
struct CertsFlags {
  std::string directory = "whence-ca", trust_domain = "whence.local";
  std::string kind, name, access = "viewer", role = "sidecar", prefix, output = "table";
  std::vector<std::string> addresses, labels;
  int days = 0;  // 0: not given
};

void DeclareCerts(CLI::App& app, CertsFlags& flags);
CertsInitOptions InterpretInit(const CertsFlags& flags);
// Returns what is wrong; empty: nothing.
std::string InterpretIssue(const CertsFlags& flags, CertsIssueOptions* options);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_CERTS_OPTIONS_H_
