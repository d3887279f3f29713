// GET /metrics and GET /healthz, for whoever reaches the port; the web console, for this machine.
#ifndef WHENCE_CONTROLPLANE_HTTP_SERVER_H_
#define WHENCE_CONTROLPLANE_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/console/request.h"
#include "controlplane/listen_address.h"
#include "controlplane/metrics/metrics.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace whence::control {

// The only unit that knows cpp-httplib. Answers on threads of its own; reads only what its sources
// give from any thread.
class HttpServer {
 public:
  // A page of the console, by path and query. Called for requests that console::Refuse lets pass.
  using Pages = std::function<console::Answer(std::string_view target)>;

  // `health` says what is degraded; OK: nothing. The process is alive either way, so /healthz is
  // 200 and its text tells: restarting would not mend a full disk.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const ListenAddress& address, std::vector<const metrics::Source*> sources,
      std::function<absl::Status()> health, Pages pages);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  int port() const { return port_; }

 private:
  HttpServer(std::vector<const metrics::Source*> sources, std::function<absl::Status()> health,
             Pages pages);
  void AddRoutes();
  void AnswerFromConsole(const httplib::Request& request, httplib::Response& response) const;

  const std::vector<const metrics::Source*> sources_;
  const std::function<absl::Status()> health_;
  const Pages pages_;
  const std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_HTTP_SERVER_H_
