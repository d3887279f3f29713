#include "common/proxy_protocol/signature_guard.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace whence::proxy_protocol {
namespace {

// How many bytes pass before the refusal; all of them if there is none.
size_t Passing(std::string_view bytes, size_t piece) {
  SignatureGuard guard;
  guard.Arm();
  size_t passed = 0;
  while (passed < bytes.size()) {
    const std::string_view next = bytes.substr(passed, piece);
    if (!guard.Admits(next)) return passed;
    passed += next.size();
  }
  return passed;
}

TEST(SignatureGuardTest, NoSplitGetsASignatureThrough) {
  for (const std::string_view signature : {kSignatureV1, kSignatureV2}) {
    const std::string bytes = std::string(signature) + "rest";
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      EXPECT_LT(Passing(bytes, piece), signature.size()) << "pieces of " << piece;
    }
    EXPECT_EQ(Passing(bytes, bytes.size()), 0u);
  }
}

TEST(SignatureGuardTest, EverythingElsePasses) {
  const std::string signature(kSignatureV2);
  const std::vector<std::string> rows = {"PROXYING",
                                         "GET / HTTP/1.1",
                                         "P",
                                         signature.substr(0, 11),
                                         signature.substr(0, 11) + "X",
                                         "\r" + signature,
                                         "x" + signature,
                                         "PPROXY ",
                                         "EHLO PROXY TCP4 "};
  for (const std::string& bytes : rows) {
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      EXPECT_EQ(Passing(bytes, piece), bytes.size()) << bytes;
    }
  }
}

TEST(SignatureGuardTest, LooksAtTheFirstBytesOnly) {
  SignatureGuard guard;
  EXPECT_TRUE(guard.Admits(kSignatureV1));  // not armed
  guard.Arm();
  EXPECT_TRUE(guard.Admits(""));
  EXPECT_TRUE(guard.armed());
  EXPECT_TRUE(guard.Admits("PRO"));
  EXPECT_TRUE(guard.armed());
  EXPECT_TRUE(guard.Admits("LOG"));
  EXPECT_FALSE(guard.armed());
  EXPECT_TRUE(guard.Admits(kSignatureV1));
}

TEST(SignatureGuardTest, ARefusalStays) {
  SignatureGuard guard;
  guard.Arm();
  EXPECT_FALSE(guard.Admits(kSignatureV1));
  EXPECT_FALSE(guard.Admits("x"));
}

}  // namespace
}  // namespace whence::proxy_protocol
