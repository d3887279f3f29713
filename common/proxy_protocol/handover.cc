#include "common/proxy_protocol/handover.h"

// OpenSSL 3 would rather have its EVP interface used, which looks algorithms up by name and allocates:
// twice the time of the hash itself, for every connection.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace whence::proxy_protocol {
namespace {

constexpr size_t kTagBytes = kHandoverBytes - 1;
using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

Digest Sha256(std::string_view block, std::string_view rest) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block.data(), block.size());
  SHA256_Update(&context, rest.data(), rest.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

std::string_view Text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// RFC 2104.
Digest Hmac(std::string_view key, std::string_view message) {
  constexpr size_t kBlockBytes = 64;
  std::array<char, kBlockBytes> inner{};
  if (key.size() > kBlockBytes) {
    const Digest hashed = Sha256(key, {});
    std::copy(hashed.begin(), hashed.end(), inner.begin());
  } else {
    std::copy(key.begin(), key.end(), inner.begin());
  }
  std::array<char, kBlockBytes> outer = inner;
  for (char& byte : inner) byte = static_cast<char>(byte ^ 0x36);
  for (char& byte : outer) byte = static_cast<char>(byte ^ 0x5c);
  const Digest digest = Sha256({inner.data(), inner.size()}, message);
  return Sha256({outer.data(), outer.size()}, Text(digest));
}

std::string_view Text(const HandoverKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

// Fixed fields at fixed places: no two hand-overs have the same bytes.
class Message {
 public:
  explicit Message(const Handover& handover) {
    Put(static_cast<uint8_t>(handover.spoken));
    for (const net::SocketAddress* address : {&handover.from, &handover.to, &handover.source}) {
      for (const uint8_t byte : address->ip.bytes()) Put(byte);
      Put(static_cast<uint8_t>(address->port >> 8));
      Put(static_cast<uint8_t>(address->port));
    }
  }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  void Put(uint8_t byte) { bytes_[size_++] = byte; }

  static constexpr size_t kEndBytes = 18;
  std::array<uint8_t, 1 + 3 * kEndBytes> bytes_{};
  size_t size_ = 0;
};

}  // namespace

HandoverProof Prove(const HandoverKey& key, const Handover& handover) {
  const Digest digest = Hmac(Text(key), Message(handover).text());
  HandoverProof proof;
  proof[0] = static_cast<char>(handover.spoken);
  std::copy_n(digest.begin(), kTagBytes, proof.begin() + 1);
  return proof;
}

std::optional<Spoken> Verify(const HandoverKey& key, const Handover& handover,
                             std::string_view tlvs) {
  TlvReader reader(tlvs);
  while (const auto tlv = reader.Next()) {
    if (tlv->type != kTlvHandover) continue;
    // The first decides: a sender of ours writes one.
    if (tlv->value.size() != kHandoverBytes) return std::nullopt;
    Handover claimed = handover;
    claimed.spoken = static_cast<Spoken>(tlv->value[0]);
    if (claimed.spoken != Spoken::kByClient && claimed.spoken != Spoken::kByAgent) {
      return std::nullopt;
    }
    const HandoverProof right = Prove(key, claimed);
    if (CRYPTO_memcmp(right.data(), tlv->value.data(), right.size()) != 0) return std::nullopt;
    return claimed.spoken;
  }
  return std::nullopt;
}

HandoverKey DeriveKey(std::string_view secret, std::string_view workload) {
  const Digest digest = Hmac(secret, workload);
  HandoverKey key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  return key;
}

std::optional<HandoverKey> KeyFromBytes(std::string_view bytes) {
  HandoverKey key;
  if (bytes.size() != key.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

}  // namespace whence::proxy_protocol
