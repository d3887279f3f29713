#include "common/proxy_protocol/handover.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

namespace whence::proxy_protocol {
namespace {

constexpr size_t kTagBytes = kHandoverBytes - 1;
using Digest = std::array<uint8_t, 32>;

Digest Hmac(const void* key, size_t key_bytes, const void* message, size_t bytes) {
  Digest digest{};
  unsigned int written = 0;
  HMAC(EVP_sha256(), key, static_cast<int>(key_bytes), static_cast<const unsigned char*>(message),
       bytes, digest.data(), &written);
  return digest;
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
  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return size_; }

 private:
  void Put(uint8_t byte) { bytes_[size_++] = byte; }

  static constexpr size_t kEndBytes = 18;
  std::array<uint8_t, 1 + 3 * kEndBytes> bytes_{};
  size_t size_ = 0;
};

}  // namespace

HandoverProof Prove(const HandoverKey& key, const Handover& handover) {
  const Message message(handover);
  const Digest digest = Hmac(key.data(), key.size(), message.data(), message.size());
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
  const Digest digest = Hmac(secret.data(), secret.size(), workload.data(), workload.size());
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
