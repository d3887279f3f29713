#include "common/policy/path.h"

#include <cstring>

namespace whence::policy {
namespace {

constexpr std::string_view kRoot = "/";

// absolute-form without a path asks for "/" (RFC 9110 section 4.2.3).
std::string_view CutAuthority(std::string_view target) {
  if (target.empty() || target[0] == '/') return target;
  const size_t scheme = target.find("://");
  // A "?" or "/" before "://" means that it is no scheme.
  if (scheme == std::string_view::npos || target.find_first_of("/?#") < scheme) return target;
  const size_t end = target.find_first_of("/?#", scheme + 3);
  return end == std::string_view::npos || target[end] != '/' ? kRoot : target.substr(end);
}

// A fragment has no place in a request target; if one got here, it is no part of the path either.
std::string_view CutQuery(std::string_view path) {
  return path.substr(0, path.find_first_of("?#"));
}

// May answer true for a path that turns out to stay as it is.
bool NeedsRewriting(std::string_view path, PathNormalization normalization) {
  if (normalization == PathNormalization::kNone) return false;
  const bool merges = normalization != PathNormalization::kBase;
  char previous = '\0';
  for (const char c : path) {
    if (c == '%' || c == '\\') return true;
    if (previous == '/' && (c == '.' || (merges && c == '/'))) return true;
    previous = c;
  }
  return false;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {  // RFC 3986 section 2.3
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// One pass, so that what a decoding yields is never decoded again: %252e stays what it is.
size_t Decode(std::string_view path, bool decodes_slashes, char* out) {
  size_t size = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%' && i + 2 < path.size() && HexDigit(path[i + 1]) >= 0 &&
        HexDigit(path[i + 2]) >= 0) {
      const char decoded = static_cast<char>(HexDigit(path[i + 1]) * 16 + HexDigit(path[i + 2]));
      if (IsUnreserved(decoded) || (decodes_slashes && (decoded == '/' || decoded == '\\'))) {
        c = decoded;
        i += 2;
      }
    }
    out[size++] = c == '\\' ? '/' : c;
  }
  return size;
}

// In place; what is written never overtakes what is read. REQUIRES: path[0] == '/'.
size_t RemoveDotSegments(char* path, size_t size) {
  size_t written = 0;
  size_t end = 0;
  for (size_t start = 0; start < size; start = end) {  // path[start] is a slash
    end = start + 1;
    while (end < size && path[end] != '/') ++end;
    const std::string_view segment(path + start + 1, end - start - 1);
    if (segment == "." || segment == "..") {
      if (segment == ".." && written > 0) {
        do {
          --written;
        } while (path[written] != '/');
      }
      if (end == size) path[written++] = '/';  // "/a/.." is the directory "/"
    } else {
      std::memmove(path + written, path + start, end - start);
      written += end - start;
    }
  }
  return written;
}

size_t MergeSlashes(char* path, size_t size) {
  size_t written = 0;
  for (size_t i = 0; i < size; ++i) {
    if (path[i] == '/' && written > 0 && path[written - 1] == '/') continue;
    path[written++] = path[i];
  }
  return written;
}

}  // namespace

std::optional<std::string_view> NormalizePath(std::string_view target,
                                              PathNormalization normalization, char* buffer) {
  const std::string_view path = CutQuery(CutAuthority(target));
  if (!NeedsRewriting(path, normalization)) return path;
  if (path.size() > kMaxNormalizedPath) return std::nullopt;
  const bool decodes_slashes = normalization == PathNormalization::kDecodeAndMergeSlashes;
  size_t size = Decode(path, decodes_slashes, buffer);
  if (size > 0 && buffer[0] == '/') size = RemoveDotSegments(buffer, size);
  if (normalization != PathNormalization::kBase) size = MergeSlashes(buffer, size);
  return std::string_view(buffer, size);
}

}  // namespace whence::policy
