// What the two HTTP/1 kinds share: bytes that arrive in pieces, bodies passed on, heads in normal
// form.
#ifndef WHENCE_TESTS_VECTORS_HTTP1_H_
#define WHENCE_TESTS_VECTORS_HTTP1_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/body_decoder.h"
#include "common/http/head.h"
#include "nlohmann/json.hpp"

namespace whence::vectors {

// Bytes that arrive `step` at a time; what is not used stays in front.
class PiecewiseInput {
 public:
  PiecewiseInput(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}

  // False at the end of the input.
  bool More();
  std::span<char> front() { return {bytes_.data() + used_, given_ - used_}; }
  std::string_view view() const { return {bytes_.data() + used_, given_ - used_}; }
  void Use(size_t bytes) { used_ += bytes; }
  bool has_leftovers() const { return used_ < bytes_.size(); }

 private:
  std::string bytes_;
  size_t step_;
  size_t given_ = 0;
  size_t used_ = 0;
};

enum class BodyEnd { kDone, kMalformed, kCut };

// Passes one body on in normal form and gives what a strict receiver of that makes of it, so that
// what we send must mean what we read. `*body` is "?" if the receiver does not understand it.
BodyEnd PassBody(http::BodyDecoder decoder, PiecewiseInput& input, std::string* body);

http::HeadLimits LimitsOf(const nlohmann::json& vector);
// Whole, in pieces that fit no boundary, and, where that is affordable, in pieces of every size up
// to 16.
std::vector<size_t> StepsFor(const nlohmann::json& vector);

std::string FromHex(const std::string& hex);
std::string ToHex(std::string_view bytes);
std::string Lower(std::string text);

// The README's normal form of a head that we would write.
std::string NormalForm(const std::string& head);
size_t CountFields(const std::string& normal_head, const std::string& name);

// `out[name]` as a list of texts; empty if it is absent or null. Vectors write bytes above 0x7f as
// the character of that number; here they are the byte again.
std::vector<std::string> Texts(const nlohmann::json& out, const char* name);
// class_any, or class alone.
std::vector<std::string> Classes(const nlohmann::json& out);

// The first difference found, if any.
struct Difference {
  std::string what;
  nlohmann::json wanted;
  nlohmann::json got;
};

}  // namespace whence::vectors

#endif  // WHENCE_TESTS_VECTORS_HTTP1_H_
