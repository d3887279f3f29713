#include "common/policy/matcher.h"

#include <algorithm>

#include "common/base/strings.h"

namespace whence::policy {

HeaderValue::HeaderValue(std::span<const http::HeaderField> headers, std::string_view name)
    : headers_(headers), name_(name) {
  for (const http::HeaderField& field : headers_) {
    if (!EqualsIgnoreCase(field.name, name_)) continue;
    if (is_present_) ++size_;  // the comma
    is_present_ = true;
    size_ += field.value.size();
  }
}

bool HeaderValue::HoldsAt(size_t offset, std::string_view text) const {
  if (offset > size_ || text.size() > size_ - offset) return false;
  // Takes the next piece of the value off `offset` first, then off `text`.
  const auto compare = [&](std::string_view piece) {
    const size_t skipped = std::min(offset, piece.size());
    offset -= skipped;
    piece.remove_prefix(skipped);
    piece = piece.substr(0, text.size());
    if (text.substr(0, piece.size()) != piece) return false;
    text.remove_prefix(piece.size());
    return true;
  };
  bool is_first = true;
  for (const http::HeaderField& field : headers_) {
    if (!EqualsIgnoreCase(field.name, name_)) continue;
    if (!is_first && !compare(",")) return false;
    is_first = false;
    if (!compare(field.value)) return false;
    if (text.empty()) return true;
  }
  return text.empty();
}

StringMatcher::StringMatcher(std::string_view pattern, Case sensitivity) : case_(sensitivity) {
  if (pattern == "*") {
    kind_ = Kind::kPresence;
  } else if (!pattern.empty() && pattern.front() == '*') {
    kind_ = Kind::kSuffix;
    text_ = pattern.substr(1);
  } else if (!pattern.empty() && pattern.back() == '*') {
    kind_ = Kind::kPrefix;
    text_ = pattern.substr(0, pattern.size() - 1);
  } else {
    kind_ = Kind::kExact;
    text_ = pattern;
  }
}

bool StringMatcher::Matches(std::string_view text) const {
  const auto equals = [this](std::string_view part) {
    return case_ == Case::kIgnored ? EqualsIgnoreCase(part, text_) : part == text_;
  };
  switch (kind_) {
    case Kind::kExact:
      return equals(text);
    case Kind::kPrefix:
      return text.size() >= text_.size() && equals(text.substr(0, text_.size()));
    case Kind::kSuffix:
      return text.size() >= text_.size() && equals(text.substr(text.size() - text_.size()));
    case Kind::kPresence:
      return !text.empty();
  }
  return false;
}

bool StringMatcher::Matches(const HeaderValue& value) const {
  if (!value.is_present()) return false;
  switch (kind_) {
    case Kind::kExact:
      return value.size() == text_.size() && value.HoldsAt(0, text_);
    case Kind::kPrefix:
      return value.HoldsAt(0, text_);
    case Kind::kSuffix:
      return value.size() >= text_.size() && value.HoldsAt(value.size() - text_.size(), text_);
    case Kind::kPresence:
      return true;
  }
  return false;
}

std::optional<PathTemplate> PathTemplate::Parse(std::string_view pattern, std::string_view* error) {
  constexpr std::string_view kSegment = "{*}";
  constexpr std::string_view kRest = "{**}";
  PathTemplate result;
  std::string literal;
  for (size_t i = 0; i < pattern.size();) {
    const std::string_view ahead = pattern.substr(i);
    const std::string_view op = ahead.starts_with(kSegment) ? kSegment
                                : ahead.starts_with(kRest)  ? kRest
                                                            : std::string_view();
    if (op.empty()) {
      if (pattern[i] == '{' || pattern[i] == '}' || pattern[i] == '*') {
        *error = "in a template only the operators {*} and {**} may have braces or stars";
        return std::nullopt;
      }
      literal += pattern[i++];
      continue;
    }
    i += op.size();
    if (result.has_rest_) {
      *error = "{**} must be the last operator of a template";
      return std::nullopt;
    }
    if (literal.empty() || literal.back() != '/' || (i < pattern.size() && pattern[i] != '/')) {
      *error = "an operator of a template must be a whole segment: /{*}/ or /{**}/";
      return std::nullopt;
    }
    result.literals_.push_back(literal);
    literal.clear();
    result.has_rest_ = op == kRest;
  }
  (result.has_rest_ ? result.suffix_ : result.literals_.emplace_back()) = literal;
  return result;
}

bool PathTemplate::Matches(std::string_view path) const {
  for (size_t i = 0; i < literals_.size(); ++i) {
    if (i > 0) {
      const size_t end = std::min(path.find('/'), path.size());
      if (end == 0) return false;
      path.remove_prefix(end);
    }
    if (!path.starts_with(literals_[i])) return false;
    path.remove_prefix(literals_[i].size());
  }
  return has_rest_ ? path.ends_with(suffix_) : path.empty();
}

}  // namespace whence::policy
