// Writes a message head into a buffer that the caller owns.
//
// A bounded append that never overruns: when something does not fit, the writer fails, stays failed
// and says so once at the end, so that call sites need no check per line. It writes what it is
// given: values come from our own parser or our own code, both of which keep CR and LF out.
#ifndef WHENCE_COMMON_HTTP_HEAD_WRITER_H_
#define WHENCE_COMMON_HTTP_HEAD_WRITER_H_

#include <charconv>
#include <cstring>
#include <span>
#include <string_view>

#include "common/http/field_set.h"
#include "common/http/header_field.h"

namespace whence::http {

// Thread-compatible.
class HeadWriter {
 public:
  explicit HeadWriter(std::span<char> buffer)
      : begin_(buffer.data()), at_(begin_), end_(begin_ + buffer.size()) {}

  // "GET /x HTTP/1.1": always our own version.
  void RequestLine(std::string_view method, std::string_view target) {
    Raw(method);
    Raw(" ");
    Raw(target);
    Raw(" HTTP/1.1\r\n");
  }

  // "HTTP/1.1 200 OK"
  void StatusLine(int status, std::string_view reason) {
    Raw("HTTP/1.1 ");
    Number(static_cast<uint64_t>(status));
    Raw(" ");
    Raw(reason);
    Raw("\r\n");
  }

  void Field(std::string_view name, std::string_view value) {
    Raw(name);
    Raw(": ");
    Raw(value);
    Raw("\r\n");
  }
  void Field(std::string_view name, uint64_t value) {
    Raw(name);
    Raw(": ");
    Number(value);
    Raw("\r\n");
  }

  // All received fields but those in `drop`, each as `name: value`. Neighbours that were received
  // in exactly that form are copied as one block. REQUIRES: `fields` are those of one parsed head,
  // in order, its bytes still in place.
  void Fields(std::span<const HeaderField> fields, const FieldSet& drop);

  void End() { Raw("\r\n"); }

  // For a field whose value is put together from pieces: Raw("x-forwarded-for: "), Raw(…),
  // Raw("\r\n").
  void Raw(std::string_view bytes) {
    if (bytes.size() > static_cast<size_t>(end_ - at_)) {
      Fail();
      return;
    }
    if (bytes.empty()) return;  // its data may be null
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void Number(uint64_t value) {
    auto [end, error] = std::to_chars(at_, end_, value);
    if (error != std::errc()) {
      Fail();
      return;
    }
    at_ = end;
  }

  bool ok() const { return !failed_; }
  // REQUIRES: ok(), else it is a part of the head only.
  std::string_view written() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }

 private:
  void Fail() {
    failed_ = true;
    end_ = at_;  // nothing more fits, however short: no gap can appear in the middle
  }

  char* begin_;
  char* at_;
  char* end_;
  bool failed_ = false;
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HEAD_WRITER_H_
