#include "tests/vectors/scripted_origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "common/http/body_decoder.h"
#include "common/http/request_head.h"

namespace whence::vectors {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nx-origin: 1\r\nContent-Length: 6\r\n\r\norigin";

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Receive(int fd, std::string& received) {
  std::array<char, 65536> bytes;
  const ssize_t size = recv(fd, bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  received.append(bytes.data(), static_cast<size_t>(size));
  return true;
}

}  // namespace

ScriptedOrigin::ScriptedOrigin() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), generic, size) == 0 && listen(listener_.get(), 128) == 0 &&
      getsockname(listener_.get(), generic, &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedOrigin::~ScriptedOrigin() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const os::UniqueFd& fd : connections_) shutdown(fd.get(), SHUT_RDWR);
  }
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void ScriptedOrigin::Play(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
  has_script_ = true;
}

std::vector<ScriptedOrigin::Request> ScriptedOrigin::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, {});
}

void ScriptedOrigin::Accept() {
  for (;;) {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back(fd);
    if (stopping_) return;
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void ScriptedOrigin::Serve(int fd) {
  std::string received;
  while (Answer(fd, received)) continue;
  shutdown(fd, SHUT_RDWR);
}

bool ScriptedOrigin::Answer(int fd, std::string& received) {
  http::HeadStorage storage;
  http::RequestHead head;
  http::ParseResult result;
  while ((result = http::ParseRequestHead(received, {}, storage, &head)).status ==
         http::ParseStatus::kNeedMore) {
    if (!Receive(fd, received)) return false;
  }
  if (!result.done()) return false;
  Request request{received.substr(0, head.head_bytes), ""};
  const bool scripted_target = head.target == "/r";
  http::BodyDecoder body(head.framing, head.content_length);
  received.erase(0, head.head_bytes);
  for (;;) {
    const auto step = body.Next(received);
    if (step.kind == http::BodyDecoder::Kind::kDone) break;
    if (step.kind == http::BodyDecoder::Kind::kError) return false;
    if (step.kind == http::BodyDecoder::Kind::kPayload)
      request.body += received.substr(0, step.bytes);
    received.erase(0, step.bytes);
    if (step.kind == http::BodyDecoder::Kind::kNeedMore && !Receive(fd, received)) return false;
  }
  bool plays = false;
  Script script;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    plays = has_script_ && scripted_target;
    if (plays) script = script_;
  }
  if (!plays) return SendAll(fd, kAnswer);
  return SendAll(fd, script.bytes) && !script.then_close;
}

}  // namespace whence::vectors
