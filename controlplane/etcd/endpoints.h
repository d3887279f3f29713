// Where etcd is, as written in a flag.
#ifndef WHENCE_CONTROLPLANE_ETCD_ENDPOINTS_H_
#define WHENCE_CONTROLPLANE_ETCD_ENDPOINTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace whence::etcd {

struct Endpoint {
  std::string target;  // "10.0.0.7:2379", "etcd-0.etcd:2379"
  bool is_tls = false;
  bool is_local = false;  // a loopback address: cannot be reached from another machine
  std::string ToString() const { return (is_tls ? "https://" : "http://") + target; }
};

struct Options {
  std::vector<Endpoint> endpoints;  // of one cluster
  std::string prefix;               // of every key; ends with "/"
  // PEM files, for https. `ca` empty: the system's; `certificate` and `key` empty: none is shown.
  std::string ca, certificate, key;
};

// "http://127.0.0.1:2379,https://etcd-1.example:2379", or without a scheme, which is http.
// InvalidArgument says what is wrong.
absl::StatusOr<std::vector<Endpoint>> ParseEndpoints(std::string_view text);

// Not empty, printable, begins and ends with "/": made so where only a slash lacks.
absl::StatusOr<std::string> ParsePrefix(std::string_view text);

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_ENDPOINTS_H_
