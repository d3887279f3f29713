// A small HTTP/1.1 client that speaks from inside a namespace.
#ifndef WHENCE_TESTS_LAB_HTTP_H_
#define WHENCE_TESTS_LAB_HTTP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/lab/namespace.h"

namespace whence::lab {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string host = "echo.example.com";
  Headers headers;
  std::string body;
};

struct HttpAnswer {
  int status = 0;
  Headers headers;
  std::string body;
};

// What whence-echo says it saw.
struct Seen {
  std::string peer;
  std::string local;
  std::vector<std::string> headers;  // "Name: value" as received

  // All values of that header, joined by ",", blanks removed; empty if there is none.
  std::string Header(const std::string& name) const;
  bool Has(const std::string& name) const;
};
absl::StatusOr<Seen> ParseSeen(const HttpAnswer& answer);

// One connection, kept alive between requests. Owns the socket.
class HttpConnection {
 public:
  static absl::StatusOr<HttpConnection> Open(const Namespace& from, const std::string& address,
                                             uint16_t port,
                                             std::chrono::milliseconds patience = kPatience,
                                             uint16_t local_port = 0);
  HttpConnection(HttpConnection&& other) noexcept;
  HttpConnection& operator=(HttpConnection&&) = delete;
  ~HttpConnection();

  absl::StatusOr<HttpAnswer> Ask(const HttpRequest& request);

  // For TCP: what has been received up to and including the first line end, or whatever came before
  // the end.
  absl::StatusOr<std::string> ReadLine();
  absl::Status Send(const std::string& bytes);
  // Ends with RST instead of FIN, so that the port is free at once.
  void Abort();

 private:
  explicit HttpConnection(int fd) : fd_(fd) {}
  // False at the end of the connection.
  absl::StatusOr<bool> Fill();

  int fd_;
  std::string buffer_;
};

// One request on a connection of its own.
absl::StatusOr<HttpAnswer> Ask(const Namespace& from, const std::string& address, uint16_t port,
                               const HttpRequest& request,
                               std::chrono::milliseconds patience = kPatience);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_HTTP_H_
