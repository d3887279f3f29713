#include "controlplane/http_server.h"

#include <httplib.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::control {

HttpServer::HttpServer(std::vector<const metrics::Source*> sources,
                       std::function<absl::Status()> health)
    : sources_(std::move(sources)),
      health_(std::move(health)),
      server_(std::make_unique<httplib::Server>()) {
  // Its default is eight threads; scrapers and probes come one at a time.
  server_->new_task_queue = [] { return new httplib::ThreadPool(3); };
  // Its default sets SO_REUSEPORT, with which a second process would silently share the port.
  server_->set_socket_options([](socket_t socket) {
    int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  server_->set_read_timeout(5);
  server_->set_write_timeout(5);
  server_->set_keep_alive_timeout(5);
  server_->set_payload_max_length(1024);
}

void HttpServer::AddRoutes() {
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    metrics::TextWriter out;
    for (const metrics::Source* source : sources_) source->Collect(out);
    response.set_content(out.text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server_->Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
    absl::Status health = health_();
    std::string text = health.ok() ? "ok\n" : absl::StrCat("degraded: ", health.message(), "\n");
    response.set_content(text, "text/plain; charset=utf-8");
  });
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const ListenAddress& address, std::vector<const metrics::Source*> sources,
    std::function<absl::Status()> health) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(sources), std::move(health)));
  server->AddRoutes();
  errno = 0;
  server->port_ =
      address.port == 0
          ? server->server_->bind_to_any_port(address.host)
          : (server->server_->bind_to_port(address.host, address.port) ? address.port : -1);
  if (server->port_ <= 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address.ToString(), ": ",
                     errno != 0 ? std::strerror(errno) : "the address is not usable",
                     ": choose another with --http"));
  }
  server->thread_ = std::thread([raw = server->server_.get()] { raw->listen_after_bind(); });
  // Until the loop runs, stop() would be lost and the destructor would wait for ever.
  while (!server->server_->is_running()) std::this_thread::yield();
  return server;
}

HttpServer::~HttpServer() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

}  // namespace whence::control
