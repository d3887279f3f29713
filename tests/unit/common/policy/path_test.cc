#include "common/policy/path.h"

#include <gtest/gtest.h>

#include <string>

namespace whence::policy {
namespace {

constexpr PathNormalization kNone = PathNormalization::kNone;
constexpr PathNormalization kBase = PathNormalization::kBase;
constexpr PathNormalization kMerge = PathNormalization::kMergeSlashes;
constexpr PathNormalization kDecode = PathNormalization::kDecodeAndMergeSlashes;

std::string Normalized(std::string_view target, PathNormalization normalization) {
  char buffer[kMaxNormalizedPath];
  return std::string(NormalizePath(target, normalization, buffer).value_or("(too long)"));
}

TEST(PathTest, OtherNamesOfAdminAreAdmin) {
  for (const std::string_view target :
       {"/admin", "/admin?x=/public", "/admin#x", "/./admin", "/../admin", "/../../admin",
        "/x/../admin", "/x/./../admin", "/x/y/../../admin", "/%61dmin", "/%61%64%6D%69%6e",
        "/%2e/admin", "/%2E%2e/admin", "/.%2e/admin", "\\admin", "/x\\..\\admin",
        "http://host/admin", "http://host:80/x/../admin?y", "https://user@host/admin"}) {
    EXPECT_EQ(Normalized(target, kBase), "/admin") << target;
    EXPECT_EQ(Normalized(target, kMerge), "/admin") << target;
    EXPECT_EQ(Normalized(target, kDecode), "/admin") << target;
  }
  for (const std::string_view target :
       {"//admin", "///admin", "/.//admin", "//./admin", "/x/..//admin", "//x/../admin"}) {
    EXPECT_EQ(Normalized(target, kMerge), "/admin") << target;
    EXPECT_EQ(Normalized(target, kDecode), "/admin") << target;
  }
  for (const std::string_view target : {"/x%2f..%2Fadmin", "/x%5c..%5Cadmin", "%2Fadmin",
                                        "/%2fadmin", "/%5cadmin", "/x/%2e%2e%2fadmin"}) {
    EXPECT_EQ(Normalized(target, kDecode), "/admin") << target;
  }
}

TEST(PathTest, DoesEachStepOfItsModeAndNoMore) {
  struct {
    std::string_view target;
    PathNormalization normalization;
    std::string_view path;
  } rows[] = {
      {"/x/../%61//b\\c?q", kNone, "/x/../%61//b\\c"},
      {"/a//b", kBase, "/a//b"},
      {"/a%2Fb", kBase, "/a%2Fb"},
      {"/a%2Fb", kMerge, "/a%2Fb"},
      {"/a%2F%2fb", kDecode, "/a/b"},
      // Decoded once: what a decoding yields is text.
      {"/%252e%252e/admin", kDecode, "/%252e%252e/admin"},
      {"/%2561dmin", kDecode, "/%2561dmin"},
      {"/%2%35%61", kDecode, "/%25a"},
      // Reserved, control and broken escapes stay.
      {"/%3Fx", kDecode, "/%3Fx"},
      {"/%00", kDecode, "/%00"},
      {"/%", kDecode, "/%"},
      {"/%4", kDecode, "/%4"},
      {"/%zz%4", kDecode, "/%zz%4"},
      {"/%41", kBase, "/A"},
      // Dots that are no dot segments.
      {"/...", kBase, "/..."},
      {"/.a", kBase, "/.a"},
      {"/a./b", kBase, "/a./b"},
      {"/..a/b..", kBase, "/..a/b.."},
      // A dot segment at the end is a directory.
      {"/a/.", kBase, "/a/"},
      {"/a/..", kBase, "/"},
      {"/a/b/..", kBase, "/a/"},
      {"/..", kBase, "/"},
      {"/.", kBase, "/"},
      {"//..", kBase, "/"},
      {"/a//../b", kBase, "/a/b"},
      {"/a/b/../../../c", kDecode, "/c"},
      // Other forms of a target.
      {"*", kDecode, "*"},
      {"", kDecode, ""},
      {"http://host", kDecode, "/"},
      {"http://host?x=/admin", kDecode, "/"},
      {"host:443", kDecode, "host:443"},
      {"/redirect?to=http://host/admin", kDecode, "/redirect"},
      {"/http://host/admin", kBase, "/http://host/admin"},
      {"?x", kDecode, ""},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Normalized(row.target, row.normalization), row.path)
        << row.target << " mode " << static_cast<int>(row.normalization);
  }
}

TEST(PathTest, RewritesUpToItsBufferAndSaysSo) {
  const std::string plain(kMaxNormalizedPath * 4, 'a');
  EXPECT_EQ(Normalized("/" + plain, kDecode), "/" + plain);
  const std::string fits = "/./" + std::string(kMaxNormalizedPath - 3, 'a');
  EXPECT_EQ(Normalized(fits, kDecode), fits.substr(2));
  EXPECT_EQ(Normalized(fits + "a", kDecode), "(too long)");
  EXPECT_EQ(Normalized(fits + "?" + plain, kDecode), fits.substr(2));
  EXPECT_EQ(Normalized(fits + "a", kNone), fits + "a");
}

}  // namespace
}  // namespace whence::policy
