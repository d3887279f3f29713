// whencectl store: moves a configuration between stores, without a control plane.
#ifndef WHENCE_CONTROLPLANE_CTL_STORE_COMMAND_H_
#define WHENCE_CONTROLPLANE_CTL_STORE_COMMAND_H_

#include <ostream>
#include <string>

namespace CLI {
class App;
}

namespace whence::ctl {

struct StoreCopyOptions {
  std::string from, to;                                   // "sqlite:DIR" or "etcd:ENDPOINTS"
  std::string prefix = "/whence/", ca, certificate, key;  // etcd's
  bool is_json = false;
};

void DeclareStore(CLI::App& app, StoreCopyOptions* options);

// What is wrong with the command line; empty: nothing.
std::string CheckStore(const StoreCopyOptions& options);

// Runs where the data directory is; no whence-control may be at it.
int CopyStore(const StoreCopyOptions& options, std::ostream& out, std::ostream& err);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_STORE_COMMAND_H_
