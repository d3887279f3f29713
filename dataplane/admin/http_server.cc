#include "dataplane/admin/http_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/http/request_head.h"
#include "dataplane/os/socket.h"

namespace whence::admin {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMaxConnections = 64;
constexpr size_t kMaxHeadBytes = 16 << 10;
// From accept to the last byte written: who is slower than that is not an operator.
constexpr std::chrono::seconds kDeadline{10};

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Bad Request" : "Error";
  }
}

std::string Serialize(const HttpResponse& response, bool head_only) {
  std::string out = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", ToAbsl(ReasonOf(response.status)),
      "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: "
      "close\r\n\r\n");
  if (!head_only) out += response.body;
  return out;
}

}  // namespace

// Where replies wait for the server's thread. Outlives the server while somebody holds a Reply.
class HttpServer::Mailbox {
 public:
  Mailbox() : wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  int fd() const { return wake_.get(); }

  void Put(uint64_t connection, HttpResponse response) {
    {
      const std::lock_guard lock(mutex_);
      replies_.emplace_back(connection, std::move(response));
    }
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof(one));
  }

  std::vector<std::pair<uint64_t, HttpResponse>> Take() {
    uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof(count));
    const std::lock_guard lock(mutex_);
    return std::exchange(replies_, {});
  }

 private:
  const os::UniqueFd wake_;
  std::mutex mutex_;
  std::vector<std::pair<uint64_t, HttpResponse>> replies_;
};

HttpServer::HttpServer()
    : stop_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), mailbox_(std::make_shared<Mailbox>()) {}

HttpServer::~HttpServer() { Stop(); }

absl::Status HttpServer::Listen(const net::SocketAddress& address, Handler handler) {
  return ListenSlow(address,
                    [handler = std::move(handler)](const HttpRequest& request, const Reply& reply) {
                      reply(handler(request));
                    });
}

absl::Status HttpServer::ListenSlow(const net::SocketAddress& address, SlowHandler handler) {
  std::vector<net::SocketAddress> addresses = {address};
  // Listeners are of one family each; "[::]" means every address.
  if (address.ip == net::IpAddress()) {
    addresses.push_back({net::IpAddress::FromV4(uint32_t{0}), address.port});
    if (!os::IsFamilySupported(false)) addresses.erase(addresses.begin());
  }
  os::ListenOptions options;
  options.reuse_port = false;
  options.backlog = 64;
  for (const net::SocketAddress& each : addresses) {
    absl::StatusOr<os::UniqueFd> fd = os::Listen(each, options);
    if (!fd.ok()) return fd.status();
    listeners_.push_back(std::make_unique<Listener>(Listener{*std::move(fd), handler}));
  }
  return absl::OkStatus();
}

void HttpServer::Start() {
  if (!listeners_.empty()) thread_ = std::thread([this] { Run(); });
}

void HttpServer::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
  connections_.clear();
}

void HttpServer::Run() {
  while (true) {
    std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}, {mailbox_->fd(), POLLIN, 0}};
    const bool has_room = connections_.size() < kMaxConnections;
    for (const auto& listener : listeners_) {
      polled.push_back({listener->fd.get(), static_cast<short>(has_room ? POLLIN : 0), 0});
    }
    for (const Connection& connection : connections_) {
      // A waiting one has nothing to say; that it is gone shows unasked.
      const short events = connection.waiting ? 0 : connection.out.empty() ? POLLIN : POLLOUT;
      polled.push_back({connection.fd.get(), events, 0});
    }
    // Idle, it sleeps; with connections it looks at their deadlines.
    if (poll(polled.data(), polled.size(), connections_.empty() ? -1 : 1'000) < 0 && errno != EINTR)
      return;
    if (polled[0].revents != 0) return;
    size_t index = 2 + listeners_.size();
    const auto now = steady_clock::now();
    for (auto it = connections_.begin(); it != connections_.end(); ++index) {
      const bool alive = now < it->deadline && (polled[index].revents == 0 || Continue(*it));
      it = alive ? std::next(it) : connections_.erase(it);
    }
    if (polled[1].revents != 0) DeliverReplies();
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if ((polled[2 + i].revents & POLLIN) != 0) AcceptFrom(*listeners_[i]);
    }
  }
}

void HttpServer::AcceptFrom(const Listener& listener) {
  os::Accepted accepted;
  if (os::Accept(listener.fd.get(), &accepted) != 0) return;
  connections_.push_back(
      {++last_id_, std::move(accepted.fd), &listener, steady_clock::now() + kDeadline, {}, {}});
}

void HttpServer::DeliverReplies() {
  for (auto& [id, response] : mailbox_->Take()) {
    for (auto it = connections_.begin(); it != connections_.end(); ++it) {
      if (it->id != id) continue;
      it->waiting = false;
      it->out = Serialize(response, it->head_only);
      if (!Continue(*it)) connections_.erase(it);
      break;
    }
  }
}

bool HttpServer::Continue(Connection& connection) {
  if (connection.waiting) return false;  // it has hung up
  if (connection.out.empty() && !Read(connection)) return false;
  while (!connection.out.empty()) {
    const ssize_t n =
        send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    connection.out.erase(0, static_cast<size_t>(n));
    if (!connection.out.empty()) continue;
    shutdown(connection.fd.get(), SHUT_WR);
    return false;
  }
  return true;
}

bool HttpServer::Read(Connection& connection) {
  char buffer[4096];
  const ssize_t n = recv(connection.fd.get(), buffer, sizeof(buffer), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  connection.in.append(buffer, static_cast<size_t>(n));

  http::HeadLimits limits;
  limits.max_bytes = kMaxHeadBytes;
  http::HeadStorage storage;
  http::RequestHead head;
  const http::ParseResult parsed = http::ParseRequestHead(connection.in, limits, storage, &head);
  if (parsed.status == http::ParseStatus::kNeedMore) return true;
  const Reply reply = [mailbox = mailbox_, id = connection.id](HttpResponse response) {
    mailbox->Put(id, std::move(response));
  };
  connection.waiting = true;
  connection.head_only = parsed.done() && head.method == "HEAD";
  if (!parsed.done()) {
    reply({parsed.http_status, absl::StrCat(ToAbsl(parsed.reason), "\n")});
  } else if (head.method != "GET" && head.method != "HEAD") {
    reply({405, "GET only\n"});  // looking never changes anything
  } else {
    connection.listener->handler({head.target.substr(0, head.target.find('?')), head.host}, reply);
  }
  return true;
}

}  // namespace whence::admin
