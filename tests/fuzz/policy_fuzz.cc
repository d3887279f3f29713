// Paths and matchers of policies. Invariants: a normalised path has none of the forms that
// normalising is there to remove; header lines match as their joined text does; a template matches
// as a search that tries everything does.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/policy/matcher.h"
#include "common/policy/path.h"

namespace {

using namespace whence::policy;
using whence::http::HeaderField;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

bool HasDotSegment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

void CheckPath(std::string_view target) {
  for (const auto mode :
       {PathNormalization::kNone, PathNormalization::kBase, PathNormalization::kMergeSlashes,
        PathNormalization::kDecodeAndMergeSlashes}) {
    const auto buffer = std::make_unique<char[]>(kMaxNormalizedPath);
    const auto path = NormalizePath(target, mode, buffer.get());
    if (!path) {
      REQUIRE(target.size() > kMaxNormalizedPath);
      continue;
    }
    REQUIRE(path->size() <= target.size() || *path == "/");
    REQUIRE(path->find('?') == std::string_view::npos);
    if (mode == PathNormalization::kNone) continue;
    REQUIRE(path->find('\\') == std::string_view::npos);
    if (!path->starts_with("/")) continue;
    REQUIRE(!HasDotSegment(*path));
    REQUIRE(mode == PathNormalization::kBase || path->find("//") == std::string_view::npos);
  }
}

void CheckHeader(const std::vector<std::string>& lines, std::string_view pattern) {
  std::vector<HeaderField> fields = {{"other", pattern}};
  std::string joined;
  for (size_t i = 0; i < lines.size(); ++i) {
    fields.push_back({i % 2 == 0 ? "x-role" : "X-Role", lines[i]});
    joined += (i == 0 ? "" : ",") + lines[i];
  }
  const HeaderValue value(fields, "x-role");
  REQUIRE(value.size() == joined.size());
  if (pattern == "*") return;  // presence: the one difference that is meant
  const StringMatcher matcher(pattern);
  REQUIRE(matcher.Matches(value) == (value.is_present() && matcher.Matches(joined)));
}

// The definition, with all the ways there are. `pattern` is one that PathTemplate accepts.
bool MatchesSomehow(std::string_view pattern, std::string_view path) {
  if (pattern.empty()) return path.empty();
  const bool is_rest = pattern.starts_with("{**}");
  if (!is_rest && !pattern.starts_with("{*}")) {
    return !path.empty() && path[0] == pattern[0] &&
           MatchesSomehow(pattern.substr(1), path.substr(1));
  }
  const std::string_view behind = pattern.substr(is_rest ? 4 : 3);
  for (size_t size = is_rest ? 0 : 1; size <= path.size(); ++size) {
    if (!is_rest && path[size - 1] == '/') return false;
    if (MatchesSomehow(behind, path.substr(size))) return true;
  }
  return false;
}

void CheckTemplate(std::string_view pattern, std::string_view path) {
  std::string_view error;
  const auto parsed = PathTemplate::Parse(pattern, &error);
  REQUIRE(parsed.has_value() == error.empty());
  // A few segments are enough, and the search is exponential in them.
  if (!parsed || pattern.size() > 60 || path.size() > 60) return;
  REQUIRE(parsed->Matches(path) == MatchesSomehow(pattern, path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckPath(text);
  std::vector<std::string> lines;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  const std::string pattern = lines.front();
  lines.erase(lines.begin());
  CheckHeader(lines, pattern);
  for (const std::string& line : lines) CheckTemplate(pattern, line);
  return 0;
}
