// A connection to the control plane, and where a command prints.
#ifndef WHENCE_CONTROLPLANE_CTL_SESSION_H_
#define WHENCE_CONTROLPLANE_CTL_SESSION_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"

namespace whence::ctl {

struct ConnectionOptions {
  std::string address;               // "127.0.0.1:15010", "unix:/run/whence.sock"
  std::string ca, certificate, key;  // PEM files; `ca` set: TLS
};

struct Session {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
  std::ostream& out;
  std::ostream& err;
  bool is_tls = false, has_certificate = false;
};

// Reads the PEM files and makes the channel; connects with the first call.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options);

// A call gets this long. The first waits for the disk and for large sets.
inline constexpr std::chrono::seconds kWriteDeadline(60);
inline constexpr std::chrono::seconds kReadDeadline(15);

inline void SetDeadline(grpc::ClientContext& context, std::chrono::seconds span) {
  context.set_deadline(std::chrono::system_clock::now() + span);
}

// Prints one line that says what, where and how to mend it; returns exit code 1.
int PrintFailure(const Session& session, const grpc::Status& status);

// The exit codes of every program of ours.
inline constexpr int kGood = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_SESSION_H_
