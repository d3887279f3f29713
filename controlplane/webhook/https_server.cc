#include "controlplane/webhook/https_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace whence::webhook {
namespace {

using Time = ServerCertificate::Time;

constexpr size_t kReadBytes = 16384;
// Then the client is told to come again, so that nobody who sends without a pause keeps the thread.
constexpr int kMaxRequests = 1000;
// Of one connection, before the others have their turn: requests, and pieces read or written.
constexpr int kRequestsPerTurn = 4;
constexpr int kPiecesPerTurn = 64;
constexpr int kAcceptsPerTurn = 32;
constexpr std::chrono::milliseconds kAcceptPause{100};

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

const char* PhraseOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Bad Request" : "Server Error";
  }
}

std::string Format(const HttpResponse& response, bool keep_alive) {
  return absl::StrCat("HTTP/1.1 ", response.status, " ", PhraseOf(response.status),
                      "\r\nContent-Type: ", response.content_type,
                      "\r\nContent-Length: ", response.body.size(),
                      keep_alive ? "" : "\r\nConnection: close", "\r\n\r\n", response.body);
}

// One client. Advance() goes on as far as it can without waiting, and without making others wait.
class Connection {
 public:
  enum class Wants { kRead, kWrite, kEnd };

  Connection(Fd fd, TlsSession tls, const HttpsLimits& limits, Time now)
      : fd_(std::move(fd)),
        tls_(std::move(tls)),
        limits_(limits),
        reader_(limits.body_bytes),
        deadline_(now + limits.request) {
    SSL_set_fd(tls_.get(), fd_.get());
    SSL_set_accept_state(tls_.get());
  }

  // `room`: what requests that are being received may still take, of all connections.
  Wants Advance(const HttpsServer::Handler& handler, size_t room, Time now) {
    has_more_ = false;
    const int turn_ends_at = served_ + kRequestsPerTurn;
    for (int pieces = 0; wants_ != Wants::kEnd; ++pieces) {
      if (pieces == kPiecesPerTurn || (served_ == turn_ends_at && out_.empty())) {
        has_more_ = true;
        break;
      }
      const bool has_moved = !out_.empty() ? Write() : Read(handler, room, now);
      if (!has_moved) break;
      if (out_.empty() && std::exchange(answers_, false)) {
        deadline_ = now + (reader_.idle() ? limits_.idle : limits_.request);
      }
      if (out_.empty() && ends_) End();
    }
    return wants_;
  }

  // Nothing was asked that is not answered.
  bool is_idle() const { return out_.empty() && reader_.idle(); }
  // Its turn ended before its work: what it waits for may have come already.
  bool has_more() const { return has_more_; }
  size_t buffered_bytes() const { return reader_.buffered_bytes() + out_.size(); }
  Wants wants() const { return wants_; }
  Time deadline() const { return deadline_; }
  int fd() const { return fd_.get(); }

  // Whatever is being answered is the last.
  void EndSoon() {
    ends_ = true;
    if (is_idle()) End();
  }

 private:
  void End() {
    SSL_shutdown(tls_.get());  // says so; nobody waits for the answer
    ERR_clear_error();
    wants_ = Wants::kEnd;
  }

  // What OpenSSL's last call comes to: false, and what it waits for.
  bool Wait(int result) {
    const int error = SSL_get_error(tls_.get(), result);
    ERR_clear_error();
    wants_ = error == SSL_ERROR_WANT_READ    ? Wants::kRead
             : error == SSL_ERROR_WANT_WRITE ? Wants::kWrite
                                             : Wants::kEnd;
    return false;
  }

  bool Write() {
    size_t written = 0;
    const int result = SSL_write_ex(tls_.get(), out_.data(), out_.size(), &written);
    if (result != 1) return Wait(result);
    out_.erase(0, written);
    return true;
  }

  // Takes what is buffered first: a client may send the next request before it has the answer.
  bool Read(const HttpsServer::Handler& handler, size_t room, Time now) {
    if (Take(handler, now)) return true;
    if (reader_.buffered_bytes() > room) {
      Refuse(503, "too much is being received");
      return true;
    }
    char bytes[kReadBytes];
    size_t size = 0;
    const bool was_idle = is_idle();
    const int result = SSL_read_ex(tls_.get(), bytes, sizeof(bytes), &size);
    if (result != 1) return Wait(result);
    if (was_idle && served_ > 0) deadline_ = now + limits_.request;
    reader_.Append({bytes, size});
    return true;
  }

  // Whether there is something to write.
  bool Take(const HttpsServer::Handler& handler, Time now) {
    switch (reader_.Next()) {
      case RequestReader::Status::kNeedMore:
        return false;
      case RequestReader::Status::kContinue:
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        return true;
      case RequestReader::Status::kReject:
        Refuse(reader_.http_status(), std::string(reader_.reason()));
        return true;
      case RequestReader::Status::kRequest:
        break;
    }
    ++served_;
    ends_ = ends_ || !reader_.keep_alive() || served_ >= kMaxRequests;
    out_ = Format(handler(reader_.request()), !ends_);
    reader_.Release();
    answers_ = true;
    deadline_ = now + limits_.request;  // to take the answer
    return true;
  }

  void Refuse(int status, const std::string& why) {
    ends_ = true;
    out_ = Format({.status = status, .body = why + "\n"}, false);
  }

  Fd fd_;
  TlsSession tls_;
  const HttpsLimits& limits_;
  RequestReader reader_;
  std::string out_;
  Time deadline_;
  Wants wants_ = Wants::kRead;
  bool ends_ = false;
  bool has_more_ = false;
  bool answers_ = false;  // what is being written is the answer to a request
  int served_ = 0;
};

struct Bound {
  Fd fd;
  int port = 0;
};

absl::StatusOr<Bound> Bind(const control::ListenAddress& address) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  const bool is_v6 = address.host.find(':') != std::string::npos;
  socklen_t size = is_v6 ? sizeof(*v6) : sizeof(*v4);
  if (is_v6) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
  } else {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr);
  }
  Bound bound{Fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0};
  const int on = 1, off = 0;
  setsockopt(bound.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (is_v6) setsockopt(bound.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(bound.fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 ||
      listen(bound.fd.get(), 128) != 0 ||
      getsockname(bound.fd.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address.ToString(), ": ",
                                               std::strerror(errno),
                                               ": choose another with --webhook"));
  }
  bound.port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
  return bound;
}

}  // namespace

class HttpsServer::Loop {
 public:
  Loop(Fd listener, ServerCertificate certificate, const HttpsLimits& limits, Handler handler)
      : listener_(std::move(listener)),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        certificate_(std::move(certificate)),
        limits_(limits),
        handler_(std::move(handler)) {}

  void Run() {
    while (true) {
      Poll();
      if (polled_[0].revents != 0) break;
      const Time now = std::chrono::steady_clock::now();
      AdvanceAll(now);
      if (polled_[1].revents != 0) Accept(now);
    }
    for (Connection& connection : connections_) connection.EndSoon();
  }

  // Both from another thread.
  uint64_t accept_pauses() const { return accept_pauses_.load(std::memory_order_relaxed); }
  void Stop() {
    const uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof(one));
  }

 private:
  void Poll() {
    // While accepting pauses, poll(2) leaves the listener out.
    const bool pauses = accepts_from_ > std::chrono::steady_clock::now();
    polled_ = {{stop_.get(), POLLIN, 0}, {pauses ? -1 : listener_.get(), POLLIN, 0}};
    Time first = pauses ? accepts_from_ : Time::max();
    for (const Connection& connection : connections_) {
      if (connection.has_more()) first = Time::min();
      const bool writes = connection.wants() == Connection::Wants::kWrite;
      polled_.push_back({connection.fd(), static_cast<short>(writes ? POLLOUT : POLLIN), 0});
      first = std::min(first, connection.deadline());
    }
    int timeout = -1;
    if (first == Time::min()) {
      timeout = 0;
    } else if (first != Time::max()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(first - std::chrono::steady_clock::now());
      timeout = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    while (poll(polled_.data(), polled_.size(), timeout) < 0 && errno == EINTR) continue;
  }

  void AdvanceAll(Time now) {
    size_t buffered = 0;
    for (const Connection& connection : connections_) buffered += connection.buffered_bytes();
    size_t index = 2;
    for (auto connection = connections_.begin(); connection != connections_.end(); ++index) {
      const bool is_ready = polled_[index].revents != 0 || connection->has_more();
      const size_t own = connection->buffered_bytes();
      const size_t others = buffered - own;
      auto wants = connection->wants();
      if (is_ready) {
        const size_t room = limits_.buffered_bytes - std::min(others, limits_.buffered_bytes);
        wants = connection->Advance(handler_, room, now);
        buffered = others + connection->buffered_bytes();
      }
      const bool is_over = wants == Connection::Wants::kEnd || connection->deadline() <= now;
      if (is_over) buffered -= connection->buffered_bytes();
      connection = is_over ? connections_.erase(connection) : std::next(connection);
    }
  }

  void Accept(Time now) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd.get() < 0 && IsShortage(errno)) {
        accept_pauses_.fetch_add(1, std::memory_order_relaxed);
        accepts_from_ = now + kAcceptPause;
        return;
      }
      if (fd.get() < 0 && errno == EAGAIN) return;
      // Others speak of one connection that is gone already (accept(2), "Error handling").
      if (fd.get() < 0) continue;
      if (connections_.size() >= limits_.connections && !MakeRoom()) continue;
      const int on = 1;
      setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      connections_.emplace_back(std::move(fd), certificate_.NewSession(now), limits_, now);
    }
  }

  // Ends the idle connection whose time is up first: before all others, those that have not even
  // shaken hands, for that takes an honest client milliseconds.
  bool MakeRoom() {
    auto longest = connections_.end();
    for (auto each = connections_.begin(); each != connections_.end(); ++each) {
      if (!each->is_idle()) continue;
      if (longest == connections_.end() || each->deadline() < longest->deadline()) longest = each;
    }
    if (longest == connections_.end()) return false;
    longest->EndSoon();
    connections_.erase(longest);
    return true;
  }

  const Fd listener_, stop_;
  ServerCertificate certificate_;
  const HttpsLimits limits_;
  const Handler handler_;
  std::list<Connection> connections_;
  Time accepts_from_ = Time::min();
  std::atomic<uint64_t> accept_pauses_{0};
  std::vector<pollfd> polled_;  // stop, listener, then the connections in their order
};

absl::StatusOr<std::unique_ptr<HttpsServer>> HttpsServer::Start(
    const control::ListenAddress& address, ServerCertificate certificate, const HttpsLimits& limits,
    Handler handler) {
  absl::StatusOr<Bound> bound = Bind(address);
  if (!bound.ok()) return bound.status();
  std::unique_ptr<HttpsServer> server(new HttpsServer(std::make_unique<Loop>(
      std::move(bound->fd), std::move(certificate), limits, std::move(handler))));
  server->port_ = bound->port;
  server->thread_ = std::thread([loop = server->loop_.get()] { loop->Run(); });
  return server;
}

HttpsServer::HttpsServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

uint64_t HttpsServer::accept_pauses() const { return loop_->accept_pauses(); }

HttpsServer::~HttpsServer() {
  if (!thread_.joinable()) return;
  loop_->Stop();
  thread_.join();
}

}  // namespace whence::webhook
