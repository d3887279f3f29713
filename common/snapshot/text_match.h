// A text of a request against what a route asks of it.
#ifndef WHENCE_COMMON_SNAPSHOT_TEXT_MATCH_H_
#define WHENCE_COMMON_SNAPSHOT_TEXT_MATCH_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace whence::snapshot {

// An RE2 expression: time linear in the text, whatever a stranger sends.
//
// Immutable; safe from any thread. RE2 builds its automaton as texts ask for it, within a bound, so
// that the first texts may allocate and later ones do not.
class Regex {
 public:
  // Istio's bound: longer ones are lists that somebody should have written as routes.
  static constexpr size_t kMaxLength = 1024;

  // InvalidArgument says what is wrong with it.
  static absl::StatusOr<std::shared_ptr<const Regex>> Compile(std::string_view pattern);
  ~Regex();

  bool MatchesWhole(std::string_view text) const;
  // Replaces every match in `text`; \1 to \9 in `rewrite` are the groups. REQUIRES: CheckRewrite.
  void ReplaceAll(std::string_view rewrite, std::string* text) const;
  absl::Status CheckRewrite(std::string_view rewrite) const;

 private:
  explicit Regex(std::unique_ptr<re2::RE2> compiled);

  const std::unique_ptr<re2::RE2> compiled_;
};

// Immutable value.
struct TextMatch {
  enum class Kind : uint8_t { kPresent, kExact, kPrefix, kRegex };

  Kind kind = Kind::kPresent;
  std::string text;                    // kExact, kPrefix
  std::shared_ptr<const Regex> regex;  // kRegex

  bool Matches(std::string_view value) const;
};

bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_TEXT_MATCH_H_
