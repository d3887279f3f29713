#include "tests/lab/http.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace whence::lab {
namespace {

std::string ToText(const HttpRequest& request) {
  std::string text = absl::StrCat(request.method, " ", request.target,
                                  " HTTP/1.1\r\nHost: ", request.host, "\r\n");
  for (const auto& [name, value] : request.headers) {
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  if (!request.body.empty()) {
    absl::StrAppend(&text, "Content-Length: ", request.body.size(), "\r\n");
  }
  return text + "\r\n" + request.body;
}

std::string FindHeader(const Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (absl::AsciiStrToLower(key) == name) return value;
  }
  return "";
}

}  // namespace

std::string Seen::Header(const std::string& name) const {
  std::string all;
  for (const std::string& line : headers) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() != 2 || absl::AsciiStrToLower(parts[0]) != name) continue;
    for (const std::string& entry : std::vector<std::string>(absl::StrSplit(parts[1], ','))) {
      if (!all.empty()) all += ",";
      all += std::string(absl::StripAsciiWhitespace(entry));
    }
  }
  return all;
}

bool Seen::Has(const std::string& name) const {
  for (const std::string& line : headers) {
    if (absl::AsciiStrToLower(line.substr(0, line.find(':'))) == name) return true;
  }
  return false;
}

absl::StatusOr<Seen> ParseSeen(const HttpAnswer& answer) {
  const auto json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (answer.status != 200 || json.is_discarded() || !json.contains("peer")) {
    return absl::InternalError(
        absl::StrCat("not an answer of whence-echo: status ", answer.status, ": ", answer.body));
  }
  return Seen{json["peer"], json["local"], json["headers"]};
}

absl::StatusOr<HttpConnection> HttpConnection::Open(const Namespace& from,
                                                    const std::string& address, uint16_t port,
                                                    std::chrono::milliseconds patience,
                                                    uint16_t local_port) {
  auto fd = from.Connect(address, port, patience, local_port);
  if (!fd.ok()) return fd.status();
  const timeval limit = {patience.count() / 1000,
                         static_cast<suseconds_t>(patience.count() % 1000 * 1000)};
  setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  return HttpConnection(*fd);
}

HttpConnection::HttpConnection(HttpConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

HttpConnection::~HttpConnection() {
  if (fd_ >= 0) close(fd_);
}

void HttpConnection::Abort() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd_);
  fd_ = -1;
}

absl::Status HttpConnection::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t size = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size < 0) return absl::ErrnoToStatus(errno, "send");
    sent += static_cast<size_t>(size);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> HttpConnection::Fill() {
  char bytes[16384];
  const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
  if (size < 0) return absl::ErrnoToStatus(errno, "receive");
  buffer_.append(bytes, static_cast<size_t>(size));
  return size > 0;
}

absl::StatusOr<std::string> HttpConnection::ReadLine() {
  while (buffer_.find('\n') == std::string::npos) {
    auto more = Fill();
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  const size_t size = std::min(buffer_.find('\n'), buffer_.size() - 1) + 1;
  std::string line = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return line;
}

absl::StatusOr<HttpAnswer> HttpConnection::Ask(const HttpRequest& request) {
  if (absl::Status s = Send(ToText(request)); !s.ok()) return s;
  size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    auto more = Fill();
    if (!more.ok()) return more.status();
    if (!*more) return absl::UnavailableError("the connection ended before an answer");
  }
  HttpAnswer answer;
  const std::vector<std::string> lines = absl::StrSplit(buffer_.substr(0, end), "\r\n");
  answer.status = lines[0].size() > 12 ? std::atoi(lines[0].c_str() + 9) : 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    answer.headers.emplace_back(field.first, std::string(absl::StripAsciiWhitespace(field.second)));
  }
  buffer_.erase(0, end + 4);
  size_t length = 0;
  const bool has_length = absl::SimpleAtoi(FindHeader(answer.headers, "content-length"), &length);
  for (;;) {
    if (has_length && buffer_.size() >= length) break;
    auto more = Fill();
    if (!more.ok()) return more.status();
    if (*more) continue;
    if (has_length) return absl::UnavailableError("the connection ended within an answer");
    length = buffer_.size();
    break;
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return answer;
}

absl::StatusOr<HttpAnswer> Ask(const Namespace& from, const std::string& address, uint16_t port,
                               const HttpRequest& request, std::chrono::milliseconds patience) {
  auto connection = HttpConnection::Open(from, address, port, patience);
  if (!connection.ok()) return connection.status();
  return connection->Ask(request);
}

}  // namespace whence::lab
