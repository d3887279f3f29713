// A small HTTPS server for a few clients that we do not choose: whoever reaches the port.
//
// HTTP/1.1 over TLS 1.3, one thread, non-blocking. Everything is bounded: how many connections, how
// large a body and all of them together, how long a request may take from its first byte to its
// last (not per read: a client that sends a byte a second is cut off as well), how long a connection
// may idle. When there is no room, a connection that has asked nothing makes it. Connections take
// turns: however much one has sent, the others are answered in between. Out of descriptors, new
// clients wait in the kernel's queue and the thread does not turn round and round for them.
//
// HTTP is read with the same strict code as in the agents (common/http).
#ifndef WHENCE_CONTROLPLANE_WEBHOOK_HTTPS_SERVER_H_
#define WHENCE_CONTROLPLANE_WEBHOOK_HTTPS_SERVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "controlplane/listen_address.h"
#include "controlplane/webhook/request_reader.h"
#include "controlplane/webhook/server_certificate.h"

namespace whence::webhook {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpsLimits {
  size_t connections = 256;
  size_t body_bytes = 4 << 20;  // of one request; an object in etcd is at most 1.5 MiB
  size_t buffered_bytes =
      64 << 20;  // of all requests that are being received, and answers not taken
  // Handshake and first request, a later request, or the taking of an answer.
  std::chrono::milliseconds request{10'000};
  std::chrono::milliseconds idle{90'000};  // between requests
};

class HttpsServer {
 public:
  // Called on the server's thread; must be quick, since the others wait.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  static absl::StatusOr<std::unique_ptr<HttpsServer>> Start(const control::ListenAddress& address,
                                                            ServerCertificate certificate,
                                                            const HttpsLimits& limits,
                                                            Handler handler);
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;
  // Answers what was received whole, then closes.
  ~HttpsServer();

  int port() const { return port_; }
  // How often accepting was put off for lack of descriptors or memory. Thread-safe.
  uint64_t accept_pauses() const;

 private:
  class Loop;

  explicit HttpsServer(std::unique_ptr<Loop> loop);

  const std::unique_ptr<Loop> loop_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace whence::webhook

#endif  // WHENCE_CONTROLPLANE_WEBHOOK_HTTPS_SERVER_H_
