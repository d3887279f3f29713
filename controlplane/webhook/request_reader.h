// Whole HTTP/1.1 requests out of a stream of bytes, within a bound.
#ifndef WHENCE_CONTROLPLANE_WEBHOOK_REQUEST_READER_H_
#define WHENCE_CONTROLPLANE_WEBHOOK_REQUEST_READER_H_

#include <memory>
#include <string>
#include <string_view>

#include "common/http/body_decoder.h"
#include "common/http/request_head.h"

namespace whence::webhook {

struct HttpRequest {
  std::string method;
  std::string target;  // path and query, as received
  std::string content_type;
  std::string body;
};

// Pure; thread-compatible. The answers do not depend on how the bytes were split.
class RequestReader {
 public:
  enum class Status {
    kNeedMore,
    kContinue,  // the client waits for an interim 100; said once, then go on with Next
    kRequest,   // request() is whole; Release() before the next
    kReject,    // http_status() and reason() say why; nothing more can be read
  };

  explicit RequestReader(size_t max_body_bytes);

  void Append(std::string_view bytes) { buffer_.append(bytes); }
  Status Next();

  const HttpRequest& request() const { return request_; }
  bool keep_alive() const { return keep_alive_; }  // of the request at hand
  void Release();

  // Nothing of a further request has arrived.
  bool idle() const { return !in_body_ && buffer_.empty(); }
  size_t buffered_bytes() const { return buffer_.size() + request_.body.size(); }
  int http_status() const { return http_status_; }
  std::string_view reason() const { return reason_; }

 private:
  Status ReadHead();
  Status ReadBody();
  Status Reject(int http_status, std::string_view reason);

  const size_t max_body_bytes_;
  const std::unique_ptr<http::HeadStorage> storage_ = std::make_unique<http::HeadStorage>();
  std::string buffer_;
  http::HeadProgress progress_;
  HttpRequest request_;
  http::BodyDecoder body_;
  bool in_body_ = false, keep_alive_ = false;
  int http_status_ = 0;
  std::string reason_;
};

}  // namespace whence::webhook

#endif  // WHENCE_CONTROLPLANE_WEBHOOK_REQUEST_READER_H_
