#include "controlplane/http_server.h"

#include <httplib.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/console/pages.h"

namespace whence::control {

HttpServer::HttpServer(std::vector<const metrics::Source*> sources,
                       std::function<absl::Status()> health, Pages pages)
    : sources_(std::move(sources)),
      health_(std::move(health)),
      pages_(std::move(pages)),
      server_(std::make_unique<httplib::Server>()) {
  // Its default is eight threads; scrapers and probes come one at a time, and a browser opens a
  // connection or two besides on which it asks nothing yet.
  server_->new_task_queue = [] { return new httplib::ThreadPool(6); };
  // One request, then the connection ends. What is refused is not read to its end, and the rest of
  // it must not be taken for a request: a stranger's page would say Host: localhost in it.
  server_->set_keep_alive_max_count(1);
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

void HttpServer::AnswerFromConsole(const httplib::Request& request,
                                   httplib::Response& response) const {
  console::Request asked{
      .method = request.method, .target = request.target, .peer = request.remote_addr};
  for (size_t i = 0; i < request.get_header_value_count("Host"); ++i) {
    asked.hosts.push_back(request.get_header_value("Host", i));
  }
  std::optional<console::Answer> answer = console::Refuse(asked);
  if (!answer) answer = pages_(asked.target);
  response.status = answer->status;
  if (answer->status == 405) response.set_header("Allow", "GET, HEAD");
  response.set_header("Content-Security-Policy", console::kContentSecurityPolicy);
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("Cross-Origin-Resource-Policy", "same-origin");
  response.set_header("Cache-Control", "no-store");
  response.set_content(answer->body,
                       answer->is_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8");
}

void HttpServer::AddRoutes() {
  // Also for methods that have no routes, and before a body is read.
  server_->set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        using enum httplib::Server::HandlerResponse;
        if (request.path == "/metrics" || request.path == "/healthz") return Unhandled;
        AnswerFromConsole(request, response);
        return Handled;
      });
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
    std::function<absl::Status()> health, Pages pages) {
  std::unique_ptr<HttpServer> server(
      new HttpServer(std::move(sources), std::move(health), std::move(pages)));
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
