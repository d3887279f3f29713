// How a value in a policy is compared with the text of a request.
#ifndef WHENCE_COMMON_POLICY_MATCHER_H_
#define WHENCE_COMMON_POLICY_MATCHER_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/header_field.h"

namespace whence::policy {

// All lines of one header as the one value they stand for: joined by commas, without being copied
// together (RFC 9110 section 5.3). Borrowed.
class HeaderValue {
 public:
  HeaderValue(std::span<const http::HeaderField> headers, std::string_view name);

  bool is_present() const { return is_present_; }
  size_t size() const { return size_; }
  // True if the characters from `offset` on begin with `text`.
  bool HoldsAt(size_t offset, std::string_view text) const;

 private:
  std::span<const http::HeaderField> headers_;
  std::string_view name_;
  bool is_present_ = false;
  size_t size_ = 0;
};

// `abc` exactly, `abc*` as a prefix, `*abc` as a suffix, `*` present. A leading star wins (`*abc*`
// is the suffix "abc*"); a star anywhere else is a plain character. Immutable.
class StringMatcher {
 public:
  enum class Case { kSensitive, kIgnored };
  explicit StringMatcher(std::string_view pattern, Case sensitivity = Case::kSensitive);

  // Presence means that there is any text.
  bool Matches(std::string_view text) const;
  // Presence means that the header is there, be it empty.
  bool Matches(const HeaderValue& value) const;

 private:
  enum class Kind { kExact, kPrefix, kSuffix, kPresence };

  Kind kind_;
  Case case_;
  std::string text_;
};

// A path with operators in place of whole segments: `{*}` is one that is not empty, `{**}` any
// number of characters, slashes included. `{**}` is the last operator, so that matching never has
// to go back. Immutable.
class PathTemplate {
 public:
  // True if `pattern` has braces and so must be a template.
  static bool IsTemplate(std::string_view pattern) {
    return pattern.find_first_of("{}") != std::string_view::npos;
  }
  // nullopt: `error` (static text) says what is wrong.
  static std::optional<PathTemplate> Parse(std::string_view pattern, std::string_view* error);

  bool Matches(std::string_view path) const;

 private:
  // Alternating: literals_[0] {*} literals_[1] {*} … literals_.back(), then, with has_rest_, {**}
  // and suffix_.
  std::vector<std::string> literals_;
  bool has_rest_ = false;
  std::string suffix_;
};

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_MATCHER_H_
