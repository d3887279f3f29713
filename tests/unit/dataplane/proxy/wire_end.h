// Plain blocking sockets for tests: a client's or an origin's end of a connection, with deadlines
// instead of sleeps.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_PROXY_WIRE_END_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_PROXY_WIRE_END_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/net/socket_address.h"
#include "dataplane/os/unique_fd.h"

namespace whence::proxy {

// Thread-compatible. Reading and writing give up after ten seconds, which fails the test.
class WireEnd {
 public:
  WireEnd() = default;
  explicit WireEnd(os::UniqueFd fd);
  // Not connected on failure. 0: the kernel's choice.
  static WireEnd ConnectTo(const net::SocketAddress& address, int receive_buffer = 0,
                           uint16_t local_port = 0);

  void Send(std::string_view bytes);
  void Finish();  // no more from here: FIN
  void Reset();   // RST
  void Close() { fd_.Reset(); }

  // Up to and including `mark`; what came before the end if it does not come.
  std::string ReadThrough(std::string_view mark);
  std::string ReadBytes(size_t count);
  // Everything up to the other side's end.
  std::string ReadToEnd();
  // A response: head through the empty line, then the body its framing announces (Content-Length
  // or chunked, chunked as it came).
  std::string ReadResponse();
  // The other side reset the connection, or ended it, with nothing before.
  bool SeesReset();
  bool SeesEnd();
  net::SocketAddress local() const;
  net::SocketAddress peer() const;
  int fd() const { return fd_.get(); }
  bool connected() const { return static_cast<bool>(fd_); }

 private:
  bool Fill();  // more into `pending_`; false: end or error

  os::UniqueFd fd_;
  std::string pending_;
  bool reset_ = false;
};

// Accepts on loopback and runs `serve` for each connection on a thread of its own.
class Origin {
 public:
  using Serve = std::function<void(WireEnd&)>;
  explicit Origin(Serve serve, std::string_view address = "127.0.0.1:0");
  ~Origin();

  const net::SocketAddress& address() const { return address_; }
  int connections() const { return connections_; }

 private:
  void Run();

  const Serve serve_;
  os::UniqueFd listener_;
  net::SocketAddress address_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // guards open_
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread thread_;
};

// Serves requests without body, or with Content-Length, until the client ends: each gets
// `response(head, body)`.
Origin::Serve HttpOrigin(
    std::function<std::string(const std::string& head, const std::string& body)> response);
// "HTTP/1.1 200 OK" with that body.
std::string Ok(std::string_view body, std::string_view fields = "");

}  // namespace whence::proxy

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_PROXY_WIRE_END_H_
