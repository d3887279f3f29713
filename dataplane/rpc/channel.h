// The one connection of an agent to its control plane, shared by all its streams.
#ifndef WHENCE_DATAPLANE_RPC_CHANNEL_H_
#define WHENCE_DATAPLANE_RPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace whence::rpc {

struct ChannelOptions {
  std::string target;  // "host:port", "unix:/path"
  // PEM files. All empty: plaintext. `ca` alone: the server is verified; with `cert` and `key` the
  // agent is, too.
  std::string ca;
  std::string cert;
  std::string key;
};

// True if plaintext to `target` stays on this machine: a unix socket, localhost or a loopback
// address.
bool IsLocal(const std::string& target);

// Does not connect yet. Errors name the file that cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options);

}  // namespace whence::rpc

#endif  // WHENCE_DATAPLANE_RPC_CHANNEL_H_
