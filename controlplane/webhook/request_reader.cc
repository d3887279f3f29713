#include "controlplane/webhook/request_reader.h"

#include "common/base/strings.h"

namespace whence::webhook {
namespace {

// Heads of the API server are a few hundred bytes; with a token in them a few thousand.
constexpr http::HeadLimits kHeadLimits = {.max_bytes = 16384, .max_fields = 64};

}  // namespace

RequestReader::RequestReader(size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

RequestReader::Status RequestReader::Next() {
  if (http_status_ != 0) return Status::kReject;
  if (!in_body_) {
    const Status status = ReadHead();
    if (!in_body_ || status != Status::kRequest) return status;
  }
  return ReadBody();
}

void RequestReader::Release() {
  request_ = {};
  in_body_ = false;
}

// kRequest: the head is done, and the body is to be read.
RequestReader::Status RequestReader::ReadHead() {
  http::RequestHead head;
  const http::ParseResult result =
      http::ParseRequestHead(buffer_, kHeadLimits, *storage_, &head, &progress_);
  if (result.status == http::ParseStatus::kNeedMore) return Status::kNeedMore;
  if (!result.done()) return Reject(result.http_status, result.reason);
  if (head.content_length > max_body_bytes_) return Reject(413, "the body is too large");
  request_.method = head.method;
  request_.target = head.target;
  for (const http::HeaderField& field : head.fields) {
    if (EqualsIgnoreCase(field.name, "content-type")) request_.content_type = field.value;
  }
  keep_alive_ = head.keep_alive;
  body_ = http::BodyDecoder(head.framing, head.content_length);
  const bool waits = head.expect_continue && buffer_.size() == head.head_bytes;
  buffer_.erase(0, head.head_bytes);
  in_body_ = true;
  return waits ? Status::kContinue : Status::kRequest;
}

RequestReader::Status RequestReader::ReadBody() {
  std::string_view rest = buffer_;
  while (true) {
    const http::BodyDecoder::Step step = body_.Next(rest);
    using Kind = http::BodyDecoder::Kind;
    if (step.kind == Kind::kPayload) {
      if (request_.body.size() + step.bytes > max_body_bytes_) {
        return Reject(413, "the body is too large");
      }
      request_.body.append(rest.substr(0, step.bytes));
    }
    rest.remove_prefix(step.bytes);
    if (step.kind == Kind::kError) return Reject(400, step.reason);
    if (step.kind != Kind::kNeedMore && step.kind != Kind::kDone) continue;
    buffer_.erase(0, buffer_.size() - rest.size());
    return step.kind == Kind::kDone ? Status::kRequest : Status::kNeedMore;
  }
}

RequestReader::Status RequestReader::Reject(int http_status, std::string_view reason) {
  http_status_ = http_status;
  reason_ = reason;
  request_ = {};
  buffer_.clear();
  return Status::kReject;
}

}  // namespace whence::webhook
