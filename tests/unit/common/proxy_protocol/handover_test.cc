// Attacks first: every way in which a proof could be used for something else than it was made for.
#include "common/proxy_protocol/handover.h"

#include <gtest/gtest.h>

namespace whence::proxy_protocol {
namespace {

net::SocketAddress Address(std::string_view text) { return *net::SocketAddress::Parse(text); }

const HandoverKey kKey = DeriveKey("secret", "default/echo");
const Handover kHandover = {Spoken::kByClient, Address("10.32.1.221:40000"),
                            Address("10.32.1.205:9000"), Address("123.120.247.15:51234")};

std::string Tlv(uint8_t type, std::string_view value) {
  std::string bytes = {static_cast<char>(type), static_cast<char>(value.size() >> 8),
                       static_cast<char>(value.size())};
  return bytes.append(value);
}
std::string Proof(const HandoverKey& key, const Handover& handover) {
  const HandoverProof proof = Prove(key, handover);
  return Tlv(kTlvHandover, {proof.data(), proof.size()});
}

TEST(HandoverTest, AProofHoldsForNothingElse) {
  const std::string proof = Proof(kKey, kHandover);
  Handover other = kHandover;
  other.from = Address("10.32.1.221:40001");
  EXPECT_EQ(Verify(kKey, other, proof), std::nullopt);
  other = kHandover;
  other.from = Address("10.32.1.222:40000");
  EXPECT_EQ(Verify(kKey, other, proof), std::nullopt);
  other = kHandover;
  other.to = Address("10.32.1.205:9001");
  EXPECT_EQ(Verify(kKey, other, proof), std::nullopt);
  other = kHandover;
  other.source = Address("6.6.6.6:51234");
  EXPECT_EQ(Verify(kKey, other, proof), std::nullopt);
  EXPECT_EQ(Verify(DeriveKey("secret", "default/other"), kHandover, proof), std::nullopt);
  EXPECT_EQ(Verify(DeriveKey("guessed", "default/echo"), kHandover, proof), std::nullopt);
}

TEST(HandoverTest, AChangedOrCutProofIsNone) {
  const std::string good = Proof(kKey, kHandover);
  for (size_t i = kTlvHeadBytes; i < good.size(); ++i) {
    for (const int bit : {1, 2, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ bit);
      EXPECT_EQ(Verify(kKey, kHandover, bad), std::nullopt) << i;
    }
  }
  const HandoverProof proof = Prove(kKey, kHandover);
  for (size_t size = 0; size < proof.size(); ++size) {
    EXPECT_EQ(Verify(kKey, kHandover, Tlv(kTlvHandover, {proof.data(), size})), std::nullopt);
  }
  EXPECT_EQ(Verify(kKey, kHandover, ""), std::nullopt);
  // A client that has got hold of the header's room cannot add a second that counts.
  EXPECT_EQ(Verify(kKey, kHandover, Tlv(kTlvHandover, std::string(17, 'x')) + good), std::nullopt);
}

TEST(HandoverTest, SaysWhoSpeaks) {
  for (const Spoken spoken : {Spoken::kByClient, Spoken::kByAgent}) {
    Handover handover = kHandover;
    handover.spoken = spoken;
    EXPECT_EQ(Verify(kKey, kHandover, Tlv(kTlvAuthority, "a.b") + Proof(kKey, handover)), spoken);
  }
  Handover six = kHandover;
  six.source = Address("[2001:db8::1]:51234");
  EXPECT_EQ(Verify(kKey, six, Proof(kKey, six)), Spoken::kByClient);
}

// The tag is HMAC-SHA256 and nothing of our own: keys against RFC 4231, test cases 2 and 6.
TEST(HandoverTest, IsHmacSha256) {
  EXPECT_EQ(DeriveKey("Jefe", "what do ya want for nothing?"),
            (HandoverKey{0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26,
                         0x08, 0x95, 0x75, 0xc7}));
  EXPECT_EQ(
      DeriveKey(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
      (HandoverKey{0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb,
                   0xf5, 0xb7, 0x7f}));
}

TEST(HandoverTest, KeysHaveOneSize) {
  EXPECT_EQ(KeyFromBytes("short"), std::nullopt);
  const std::string bytes(kKey.begin(), kKey.end());
  EXPECT_EQ(KeyFromBytes(bytes), kKey);
  EXPECT_EQ(KeyFromBytes(bytes + "x"), std::nullopt);
}

}  // namespace
}  // namespace whence::proxy_protocol
