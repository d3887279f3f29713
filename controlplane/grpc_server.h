// The gRPC listeners, with what every one of them has: limits, keepalive, health, reflection.
#ifndef WHENCE_CONTROLPLANE_GRPC_SERVER_H_
#define WHENCE_CONTROLPLANE_GRPC_SERVER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/config.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace whence::control {

class GrpcServer {
 public:
  // `services` must outlive *this. Serves at once. `guard` judges the calls on the TLS listener, if
  // its clients have certificates.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const std::optional<ListenAddress>& plaintext, const std::optional<ListenAddress>& tls,
      const security::TlsFiles& files, std::shared_ptr<security::Guard> guard,
      const std::vector<grpc::Service*>& services);
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;
  ~GrpcServer();

  // Takes no new calls, lets running ones end for `grace`, cancels the rest, and returns when all
  // of them are over. Health says "not serving" from the first moment.
  void Shutdown(std::chrono::milliseconds grace);

  // Where it really listens, port 0 resolved: "127.0.0.1:15010", "unix:/run/whence.sock".
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, std::vector<std::string> addresses);
  const std::unique_ptr<grpc::Server> server_;
  const std::vector<std::string> addresses_;
  bool is_down_ = false;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_GRPC_SERVER_H_
