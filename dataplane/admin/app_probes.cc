#include "dataplane/admin/app_probes.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "dataplane/os/socket.h"
#include "dataplane/rpc/health_check.h"

namespace whence::admin {
namespace {

using Json = nlohmann::json;
using std::chrono::steady_clock;

absl::Status Wrong(std::string_view path, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("probe ", ToAbsl(path), ": ", ToAbsl(why)));
}

std::string TextOf(const Json& object, const char* key, std::string otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>()
                                                     : std::move(otherwise);
}

// No line of it can end the line it is written to.
bool IsSafe(std::string_view text) { return text.find_first_of("\r\n") == std::string_view::npos; }

absl::Status ReadHttp(std::string_view name, const Json& handler, AppProbe* probe) {
  probe->kind = AppProbe::Kind::kHttp;
  probe->path = TextOf(handler, "path", "/");
  if (probe->path.empty() || probe->path[0] != '/') probe->path.insert(0, 1, '/');
  if (TextOf(handler, "scheme", "HTTP") != "HTTP") return Wrong(name, "only HTTP, no TLS");
  const auto headers = handler.find("httpHeaders");
  if (headers != handler.end() && headers->is_array()) {
    for (const Json& header : *headers) {
      if (!header.is_object()) return Wrong(name, "httpHeaders: name and value each");
      probe->headers.emplace_back(TextOf(header, "name", ""), TextOf(header, "value", ""));
      if (!IsSafe(probe->headers.back().first) || !IsSafe(probe->headers.back().second)) {
        return Wrong(name, "httpHeaders: a line end in a header");
      }
    }
  }
  return IsSafe(probe->path) ? absl::OkStatus() : Wrong(name, "a line end in the path");
}

absl::Status ReadProbe(std::string_view name, const Json& json, AppProbe* probe) {
  if (!json.is_object()) return Wrong(name, "give httpGet, tcpSocket or grpc");
  const Json* handler = nullptr;
  absl::Status status;
  for (const auto& [key, value] : json.items()) {
    if (key == "timeoutSeconds") {
      if (!value.is_number_integer() || value < 1 || value > 60)
        return Wrong(name, "timeoutSeconds");
      probe->timeout = std::chrono::seconds(value.get<int>());
    } else if (!value.is_object() || handler != nullptr) {
      return Wrong(name, "give one of httpGet, tcpSocket and grpc");
    } else {
      handler = &value;
      if (key == "httpGet") {
        status = ReadHttp(name, value, probe);
      } else if (key == "grpc") {
        probe->kind = AppProbe::Kind::kGrpc;
        probe->service = TextOf(value, "service", "");
      } else if (key != "tcpSocket") {
        return Wrong(name, absl::StrCat("no such handler as ", key));
      }
    }
  }
  if (handler == nullptr) return Wrong(name, "give httpGet, tcpSocket or grpc");
  const auto port = handler->find("port");
  if (port == handler->end() || !port->is_number_integer() || *port < 1 || *port > 65535) {
    return Wrong(name, "port: give 1 to 65535");
  }
  probe->port = port->get<uint16_t>();
  return status;
}

class Deadline {
 public:
  explicit Deadline(std::chrono::seconds timeout) : end_(steady_clock::now() + timeout) {}
  // False: it has passed.
  bool Wait(int fd, short events) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end_ - steady_clock::now()).count();
    pollfd polled{fd, events, 0};
    return left > 0 && poll(&polled, 1, static_cast<int>(left)) > 0;
  }

 private:
  const steady_clock::time_point end_;
};

absl::StatusOr<os::UniqueFd> Open(const net::SocketAddress& address, const Deadline& deadline) {
  os::UniqueFd fd = os::NewTcpSocket(address.ip.is_v4());
  int error = fd ? os::Connect(fd.get(), address) : errno;
  if (error == EINPROGRESS) {
    error = deadline.Wait(fd.get(), POLLOUT) ? os::TakeError(fd.get()) : ETIMEDOUT;
  }
  if (error == 0) return fd;
  return absl::UnavailableError(
      absl::StrCat("connect to ", address.ToString(), ": ", std::strerror(error)));
}

absl::Status AskHttp(const AppProbe& probe, const net::SocketAddress& address,
                     const Deadline& deadline) {
  const absl::StatusOr<os::UniqueFd> fd = Open(address, deadline);
  if (!fd.ok()) return fd.status();
  bool has_host = false;
  std::string request = absl::StrCat(
      "GET ", probe.path, " HTTP/1.1\r\nUser-Agent: kube-probe/whence\r\nAccept: */*\r\n");
  for (const auto& [name, value] : probe.headers) {
    absl::StrAppend(&request, name, ": ", value, "\r\n");
    has_host = has_host || absl::EqualsIgnoreCase(name, "host");
  }
  if (!has_host) absl::StrAppend(&request, "Host: ", address.ToString(), "\r\n");
  request += "Connection: close\r\n\r\n";
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t n = send(fd->get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (errno != EAGAIN || !deadline.Wait(fd->get(), POLLOUT)) {
      return absl::UnavailableError("the request could not be sent");
    }
  }
  // The status line is all that counts.
  std::string line;
  while (line.find('\n') == std::string::npos && line.size() < 1024) {
    char buffer[1024];
    if (!deadline.Wait(fd->get(), POLLIN)) return absl::DeadlineExceededError("no answer in time");
    const ssize_t n = recv(fd->get(), buffer, sizeof(buffer), 0);
    if (n <= 0 && errno != EAGAIN) return absl::UnavailableError("the connection ended early");
    if (n == 0) return absl::UnavailableError("the connection ended early");
    if (n > 0) line.append(buffer, static_cast<size_t>(n));
  }
  const bool is_http = absl::StartsWith(line, "HTTP/1.") && line.size() > 12 && line[8] == ' ';
  const std::string status = is_http ? line.substr(9, 3) : "";
  if (status >= "200" && status < "400") return absl::OkStatus();
  return absl::UnavailableError(is_http ? absl::StrCat("answered ", status) : "not HTTP");
}

}  // namespace

absl::StatusOr<AppProbes> ParseAppProbes(std::string_view json) {
  const Json table = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!table.is_object()) return absl::InvalidArgumentError("give a JSON object of probes");
  AppProbes probes;
  for (const auto& [path, probe] : table.items()) {
    if (!absl::StartsWith(path, "/app-health/")) return Wrong(path, "begins with /app-health/");
    if (absl::Status status = ReadProbe(path, probe, &probes[path]); !status.ok()) return status;
  }
  return probes;
}

absl::Status Ask(const AppProbe& probe, const net::IpAddress& ip) {
  const net::SocketAddress address{ip, probe.port};
  const Deadline deadline(probe.timeout);
  switch (probe.kind) {
    case AppProbe::Kind::kHttp:
      return AskHttp(probe, address, deadline);
    case AppProbe::Kind::kGrpc:
      return rpc::CheckHealth(address.ToString(), probe.service, probe.timeout);
    case AppProbe::Kind::kTcp:
      break;
  }
  return Open(address, deadline).status();
}

AppProber::~AppProber() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return running_ == 0; });
}

bool AppProber::Answer(std::string_view path, HttpServer::Reply reply) {
  const auto found = probes_.find(path);
  if (found == probes_.end()) return false;
  {
    const std::lock_guard lock(mutex_);
    if (running_ == kMaxProbes) {
      reply({503, "too many probes at once\n"});
      return true;
    }
    ++running_;
  }
  // A thread each: probes are rare, and one application that hangs must not delay another's.
  std::thread([this, probe = &found->second, reply = std::move(reply)] {
    const absl::Status status = Ask(*probe, ip_);
    reply(status.ok() ? HttpResponse{200, "ok\n"}
                      : HttpResponse{503, absl::StrCat(status.message(), "\n")});
    const std::lock_guard lock(mutex_);
    --running_;
    idle_.notify_all();
  }).detach();
  return true;
}

}  // namespace whence::admin
