// A small HTTP/1.1 server for a handful of local pages: one thread, GET only, one request per
// connection, everything bounded.
//
// Not the data path, and deliberately not built on it: it must answer when the data path does not.
#ifndef WHENCE_DATAPLANE_ADMIN_HTTP_SERVER_H_
#define WHENCE_DATAPLANE_ADMIN_HTTP_SERVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/socket_address.h"
#include "dataplane/os/unique_fd.h"

namespace whence::admin {

struct HttpRequest {
  std::string_view path;  // without query
  std::string_view host;  // as received
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

// Thread-compatible; handlers run on the server's thread.
class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;
  // To be called once, at any time, from any thread, even after the server is gone.
  using Reply = std::function<void(HttpResponse)>;
  // For answers that take time: the handler itself must return at once.
  using SlowHandler = std::function<void(const HttpRequest&, Reply)>;

  HttpServer();
  ~HttpServer();

  // Before Start. "[::]" is both families. Errors name the address.
  absl::Status Listen(const net::SocketAddress& address, Handler handler);
  absl::Status ListenSlow(const net::SocketAddress& address, SlowHandler handler);
  void Start();
  // Ends the thread. Idempotent.
  void Stop();

 private:
  struct Listener {
    os::UniqueFd fd;
    SlowHandler handler;
  };
  class Mailbox;
  struct Connection {
    uint64_t id;
    os::UniqueFd fd;
    const Listener* listener;
    std::chrono::steady_clock::time_point deadline;
    std::string in;
    std::string out;  // not empty: the answer, being written
    bool head_only = false;
    bool waiting = false;  // for its handler's reply
  };

  void Run();
  void AcceptFrom(const Listener& listener);
  // False: the connection is over.
  bool Continue(Connection& connection);
  bool Read(Connection& connection);
  void DeliverReplies();

  std::vector<std::unique_ptr<Listener>> listeners_;
  std::list<Connection> connections_;
  os::UniqueFd stop_;
  std::shared_ptr<Mailbox> mailbox_;
  uint64_t last_id_ = 0;
  std::thread thread_;
};

}  // namespace whence::admin

#endif  // WHENCE_DATAPLANE_ADMIN_HTTP_SERVER_H_
