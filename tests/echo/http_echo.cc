#include "tests/echo/http_echo.h"

#include <strings.h>

#include <cstdio>
#include <cstdlib>

namespace whence::echo {
namespace {

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '"' || byte == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte > 0x7e) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The value of the first header line with that name.
std::optional<std::string> Find(const SeenRequest& request, std::string_view name) {
  for (const std::string& line : request.headers) {
    if (line.size() <= name.size() || line[name.size()] != ':' ||
        strncasecmp(line.c_str(), name.data(), name.size()) != 0) {
      continue;
    }
    const size_t start = line.find_first_not_of(" \t", name.size() + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return std::nullopt;
}

// Reads one connection: a buffer in front of the socket.
class Reader {
 public:
  explicit Reader(int socket) : socket_(socket) {}

  // Without its line end; nullopt at the end of the connection.
  std::optional<std::string> Line() {
    size_t end;
    while ((end = buffer_.find('\n')) == std::string::npos) {
      if (!Receive(socket_, &buffer_)) return std::nullopt;
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
  }

  bool Skip(uint64_t bytes) {
    while (bytes > 0) {
      if (buffer_.empty() && !Receive(socket_, &buffer_)) return false;
      const size_t part = bytes < buffer_.size() ? static_cast<size_t>(bytes) : buffer_.size();
      buffer_.erase(0, part);
      bytes -= part;
    }
    return true;
  }

 private:
  const int socket_;
  std::string buffer_;
};

bool SkipChunks(Reader& reader, uint64_t* total) {
  for (;;) {
    const auto head = reader.Line();
    if (!head) return false;
    const uint64_t size = std::strtoull(head->c_str(), nullptr, 16);
    if (size == 0) break;
    *total += size;
    if (!reader.Skip(size) || !reader.Line()) return false;
  }
  for (;;) {  // trailers, up to the empty line
    const auto line = reader.Line();
    if (!line) return false;
    if (line->empty()) return true;
  }
}

bool ReadRequest(Reader& reader, int socket, SeenRequest* request) {
  auto line = reader.Line();
  while (line && line->empty()) line = reader.Line();
  if (!line) return false;
  request->line = *line;
  while ((line = reader.Line()) && !line->empty()) request->headers.push_back(*line);
  if (!line) return false;
  if (Find(*request, "expect") && !SendAll(socket, "HTTP/1.1 100 Continue\r\n\r\n")) return false;
  if (Find(*request, "transfer-encoding")) return SkipChunks(reader, &request->body_bytes);
  if (const auto length = Find(*request, "content-length")) {
    request->body_bytes = std::strtoull(length->c_str(), nullptr, 10);
    return reader.Skip(request->body_bytes);
  }
  return true;
}

std::string ToText(const Endpoint& peer, const Endpoint& local, const SeenRequest& request) {
  std::string text = "peer " + peer.address + " " + std::to_string(peer.port) + "\nlocal " +
                     local.address + " " + std::to_string(local.port) + "\n" + request.line + "\n";
  for (const std::string& line : request.headers) text += line + "\n";
  return text + "body " + std::to_string(request.body_bytes) + "\n";
}

}  // namespace

std::string ToJson(const std::string& name, const Endpoint& peer, const Endpoint& local,
                   const SeenRequest& request) {
  std::string headers;
  for (const std::string& line : request.headers) {
    if (!headers.empty()) headers += ",";
    headers += Quoted(line);
  }
  return "{\"name\":" + Quoted(name) + ",\"peer\":" + Quoted(peer.address) +
         ",\"peerPort\":" + std::to_string(peer.port) + ",\"local\":" + Quoted(local.address) +
         ",\"localPort\":" + std::to_string(local.port) + ",\"request\":" + Quoted(request.line) +
         ",\"headers\":[" + headers + "],\"bodyBytes\":" + std::to_string(request.body_bytes) + "}";
}

void ServeHttp(int socket, const std::string& name, bool quiet) {
  const Endpoint peer = PeerOf(socket);
  const Endpoint local = LocalOf(socket);
  Reader reader(socket);
  bool keep_alive = true;
  while (keep_alive) {
    SeenRequest request;
    if (!ReadRequest(reader, socket, &request)) return;
    const std::string json = ToJson(name, peer, local, request);
    if (!quiet) {
      // One call, so that lines of several connections do not mix.
      std::fputs((json + "\n").c_str(), stdout);
      std::fflush(stdout);
    }
    const bool is_old = request.line.size() > 8 &&
                        request.line.compare(request.line.size() - 8, 8, "HTTP/1.0") == 0;
    const std::string connection = Find(request, "connection").value_or("");
    keep_alive = is_old ? strcasecmp(connection.c_str(), "keep-alive") == 0
                        : strcasecmp(connection.c_str(), "close") != 0;
    const bool as_text = Find(request, "accept").value_or("").rfind("text/plain", 0) == 0;
    const std::string body = as_text ? ToText(peer, local, request) : json + "\n";
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: ";
    answer += as_text ? "text/plain" : "application/json";
    answer += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: ";
    answer += keep_alive ? "keep-alive\r\n\r\n" : "close\r\n\r\n";
    if (request.line.rfind("HEAD ", 0) != 0) answer += body;
    if (!SendAll(socket, answer)) return;
  }
}

}  // namespace whence::echo
