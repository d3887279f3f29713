#include "common/snapshot/text_match.h"

#include <re2/re2.h>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace whence::snapshot {
namespace {

// For the program and what is built of it; a sixteenth of RE2's default, since there may be many.
constexpr int64_t kMaxMemory = 512 * 1024;

}  // namespace

Regex::Regex(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Regex::~Regex() = default;

absl::StatusOr<std::shared_ptr<const Regex>> Regex::Compile(std::string_view pattern) {
  if (pattern.empty()) return absl::InvalidArgumentError("an empty expression matches nothing");
  if (pattern.size() > kMaxLength) {
    return absl::InvalidArgumentError(absl::StrCat("an expression of ", pattern.size(),
                                                   " bytes is too long; at most ", kMaxLength));
  }
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kMaxMemory);
  auto compiled = std::make_unique<re2::RE2>(re2::StringPiece(pattern), options);
  if (!compiled->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is no regular expression (RE2): ", compiled->error()));
  }
  return std::shared_ptr<const Regex>(new Regex(std::move(compiled)));
}

bool Regex::MatchesWhole(std::string_view text) const {
  return compiled_->Match(re2::StringPiece(text), 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr,
                          0);
}

void Regex::ReplaceAll(std::string_view rewrite, std::string* text) const {
  re2::RE2::GlobalReplace(text, *compiled_, re2::StringPiece(rewrite));
}

absl::Status Regex::CheckRewrite(std::string_view rewrite) const {
  std::string error;
  if (compiled_->CheckRewriteString(re2::StringPiece(rewrite), &error)) return absl::OkStatus();
  return absl::InvalidArgumentError(error);
}

bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix) {
  return EqualsIgnoreCase(text.substr(0, prefix.size()), prefix);
}

bool TextMatch::Matches(std::string_view value) const {
  switch (kind) {
    case Kind::kPresent:
      return true;
    case Kind::kExact:
      return value == text;
    case Kind::kPrefix:
      return value.substr(0, text.size()) == text;
    case Kind::kRegex:
      return regex->MatchesWhole(value);
  }
  return false;
}

}  // namespace whence::snapshot
