#include "common/trust/client_privacy.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/trust/hop_chain.h"

namespace whence::trust {
namespace {

// IPv4 is the last four of the sixteen bytes.
net::IpAddress Truncate(const net::IpAddress& address, int v4_prefix, int v6_prefix) {
  const size_t keep = static_cast<size_t>(address.is_v4() ? 96 + v4_prefix : v6_prefix);
  net::IpAddress::Bytes bytes = address.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (keep >= 8 * (i + 1)) continue;
    const size_t bits = keep > 8 * i ? keep - 8 * i : 0;
    bytes[i] = static_cast<uint8_t>(bytes[i] & (0xff00 >> bits));
  }
  return net::IpAddress::FromV6(bytes);
}

net::IpAddress Hash(const net::IpAddress& address, const std::string& key) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), address.bytes().data(),
       address.bytes().size(), digest, &size);
  net::IpAddress::Bytes bytes{0x01};
  std::copy_n(digest, 8, bytes.begin() + 8);
  return net::IpAddress::FromV6(bytes);
}

}  // namespace

net::IpAddress ClientPrivacy::Hide(const net::IpAddress& address) const {
  if (address.is_unspecified()) return address;
  switch (mode) {
    case Mode::kFull:
      return address;
    case Mode::kTruncate:
      return Truncate(address, v4_prefix, v6_prefix);
    case Mode::kHash:
      return Hash(address, key);
  }
  return {};
}

std::string ClientPrivacy::HideList(std::string_view list) const {
  std::string hidden;
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    const std::optional<net::IpAddress> address = ParseForwardedForEntry(list.substr(0, end));
    if (!hidden.empty()) hidden += ", ";
    hidden += address ? Hide(*address).ToString() : "unknown";
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return hidden;
}

}  // namespace whence::trust
