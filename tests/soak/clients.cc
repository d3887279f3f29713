#include "tests/soak/clients.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <charconv>
#include <cstring>

#include "dataplane/os/unique_fd.h"

namespace whence::soak {
namespace {

constexpr size_t kBody = 9'000;

class Connection {
 public:
  // False: refused, or no answer to the SYN while the agent drains.
  bool Open(uint16_t port) {
    received_.clear();
    closing_ = false;
    fd_ = os::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{10, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
      return true;
    fd_.Reset();
    return false;
  }
  bool open() const { return static_cast<bool>(fd_); }
  bool closing() const { return closing_; }
  void Close() { fd_.Reset(); }

  bool Ask(const std::string& path, bool with_body, bool last) {
    std::string request = (with_body ? "POST " : "GET ") + path + " HTTP/1.1\r\nHost: soak\r\n";
    if (last) request += "Connection: close\r\n";
    if (with_body) request += "Content-Length: " + std::to_string(kBody) + "\r\n";
    request += "\r\n";
    if (with_body) request.append(kBody, 'b');
    return send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(request.size());
  }

  // The next answer: status, and its body. 0: it did not come.
  int Read(std::string* body) {
    size_t head;
    while ((head = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!More()) return 0;
    }
    const std::string_view fields = std::string_view(received_).substr(0, head + 2);
    closing_ = fields.find("\r\nconnection: close\r\n") != std::string_view::npos;
    const size_t at = LengthAt(fields);
    size_t length = 0;
    std::from_chars(fields.data() + at, fields.data() + fields.size(), length);
    int status = 0;
    std::from_chars(fields.data() + 9, fields.data() + 12, status);
    while (received_.size() < head + 4 + length) {
      if (!More()) return 0;
    }
    *body = received_.substr(head + 4, length);
    received_.erase(0, head + 4 + length);
    return status;
  }

 private:
  static size_t LengthAt(std::string_view fields) {
    for (const std::string_view name : {"\r\nContent-Length: ", "\r\ncontent-length: "}) {
      if (const size_t at = fields.find(name); at != std::string_view::npos)
        return at + name.size();
    }
    return fields.size();
  }
  bool More() {
    char buffer[16384];
    const ssize_t n = recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  os::UniqueFd fd_;
  std::string received_;
  bool closing_ = false;
};

}  // namespace

Clients::Clients(uint16_t port, int threads, int connections_per_thread) : port_(port) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i, connections_per_thread] { Run(i, connections_per_thread); });
  }
}

Clients::~Clients() { LetThemEnd(); }

void Clients::LetThemEnd() {
  ending_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::string Clients::first_failure() const {
  const std::lock_guard lock(mutex_);
  return first_failure_;
}

void Clients::Fail(const std::string& what) {
  ++failed_;
  const std::lock_guard lock(mutex_);
  if (first_failure_.empty()) first_failure_ = what;
}

void Clients::Run(int thread, int connections) {
  std::vector<Connection> all(static_cast<size_t>(connections));
  std::vector<std::string> paths(all.size());
  std::string body;
  for (uint64_t round = 0;; ++round) {
    bool any = false;
    for (size_t i = 0; i < all.size(); ++i) {
      const bool ending = ending_;
      paths[i].clear();
      if (!all[i].open() && (ending || !all[i].Open(port_))) {
        if (!ending && !ending_) Fail("connection refused");
        continue;
      }
      any = true;
      const uint64_t number = round * all.size() + i;
      const bool toggled = number % 50 == 7;
      paths[i] = (toggled ? "/toggled/" : "/load/") + std::to_string(thread) + "/" +
                 std::to_string(number);
      // One connection of each round ends with it.
      if (!all[i].Ask(paths[i], number % 10 == 3, round % all.size() == i)) {
        Fail("could not send " + paths[i]);
        all[i].Close();
        paths[i].clear();
      }
    }
    for (size_t i = 0; i < all.size(); ++i) {
      if (paths[i].empty()) continue;
      const int status = all[i].Read(&body);
      const bool toggled = paths[i].starts_with("/toggled/");
      if (status == 200 && body.starts_with(paths[i] + " ")) {
        ++answered_;
      } else if (status == 403 && toggled) {
        ++denied_;
      } else {
        Fail(paths[i] + ": status " + std::to_string(status) + " " + body.substr(0, 100) +
             (status == 0 ? std::string(": ") + std::strerror(errno) : ""));
        all[i].Close();
        continue;
      }
      if (all[i].closing()) all[i].Close();
    }
    if (!any && ending_) return;
  }
}

}  // namespace whence::soak
