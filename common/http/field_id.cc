#include "common/http/field_id.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "common/base/strings.h"

namespace whence::http {
namespace {

struct Name {
  std::string_view text;
  FieldId id;
};

// By length, then by text. Few names share a length, so a lookup compares one or two strings at
// most.
constexpr Name kNames[] = {
    {"te", FieldId::kTe},
    {"date", FieldId::kDate},
    {"host", FieldId::kHost},
    {"expect", FieldId::kExpect},
    {"upgrade", FieldId::kUpgrade},
    {"trailer", FieldId::kTrailer},
    {"forwarded", FieldId::kForwarded},
    {"x-real-ip", FieldId::kXRealIp},
    {"connection", FieldId::kConnection},
    {"keep-alive", FieldId::kKeepAlive},
    {"x-request-id", FieldId::kXRequestId},
    {"content-length", FieldId::kContentLength},
    {"http2-settings", FieldId::kHttp2Settings},
    {"x-forwarded-for", FieldId::kXForwardedFor},
    {"x-whence-client", FieldId::kXWhenceClient},
    {"proxy-connection", FieldId::kProxyConnection},
    {"x-forwarded-host", FieldId::kXForwardedHost},
    {"x-envoy-internal", FieldId::kXEnvoyInternal},
    {"transfer-encoding", FieldId::kTransferEncoding},
    {"x-forwarded-proto", FieldId::kXForwardedProto},
    {"x-forwarded-client-cert", FieldId::kXForwardedClientCert},
    {"x-envoy-external-address", FieldId::kXEnvoyExternalAddress},
};

struct Prefix {
  std::string_view text;
  FieldId id;
};
constexpr Prefix kPrefixes[] = {
    {"x-forwarded-", FieldId::kXForwardedOther},
    {"x-whence-", FieldId::kXWhenceOther},
    {"x-envoy-", FieldId::kXEnvoyOther},
};

// Where the names of a length begin, so that a lookup goes straight to the few that could match.
constexpr size_t kMaxNameSize = 24;
constexpr std::array<uint8_t, kMaxNameSize + 2> FirstOfSize() {
  std::array<uint8_t, kMaxNameSize + 2> first{};
  size_t index = 0;
  for (size_t size = 0; size < first.size(); ++size) {
    while (index < std::size(kNames) && kNames[index].text.size() < size) ++index;
    first[size] = static_cast<uint8_t>(index);
  }
  return first;
}
constexpr auto kFirstOfSize = FirstOfSize();

constexpr bool NamesAreSortedBySize() {
  for (size_t i = 1; i < std::size(kNames); ++i) {
    if (kNames[i].text.size() < kNames[i - 1].text.size()) return false;
  }
  return kNames[std::size(kNames) - 1].text.size() <= kMaxNameSize;
}
static_assert(NamesAreSortedBySize(), "kFirstOfSize relies on it");

FieldId Identify(std::string_view name) {
  if (name.size() <= kMaxNameSize) {
    for (size_t i = kFirstOfSize[name.size()]; i < kFirstOfSize[name.size() + 1]; ++i) {
      // The last letter tells most of them apart; the first are often alike (x-, content-).
      const std::string_view known = kNames[i].text;
      if (ToLowerAscii(name.back()) == known.back() && EqualsIgnoreCase(name, known)) {
        return kNames[i].id;
      }
    }
  }
  if (name.size() > 2 && name[1] == '-' && ToLowerAscii(name[0]) == 'x') {
    for (const Prefix& prefix : kPrefixes) {
      if (name.size() > prefix.text.size() &&
          EqualsIgnoreCase(name.substr(0, prefix.text.size()), prefix.text)) {
        return prefix.id;
      }
    }
  }
  return FieldId::kOther;
}

// Other names by which applications learn the client; only their aliases concern us.
bool NamesClient(std::string_view name) {
  return EqualsIgnoreCase(name, "true-client-ip") || EqualsIgnoreCase(name, "x-client-ip") ||
         EqualsIgnoreCase(name, "cf-connecting-ip");
}

// Only names with an underscore come here, so its cost does not matter.
FieldId IdentifyAlias(std::string_view name) {
  char dashed[64];
  // The three prefixes are shorter than the buffer, so what does not fit can still be judged by its
  // front.
  const size_t size = name.size() < sizeof(dashed) ? name.size() : sizeof(dashed);
  for (size_t i = 0; i < size; ++i) dashed[i] = name[i] == '_' ? '-' : name[i];
  const std::string_view alias(dashed, size);
  return Identify(alias) != FieldId::kOther || NamesClient(alias) ? FieldId::kUnderscoreAlias
                                                                  : FieldId::kOther;
}

}  // namespace

FieldId IdentifyField(std::string_view name) {
  if (name.empty()) return FieldId::kOther;
  if (std::memchr(name.data(), '_', name.size()) != nullptr) return IdentifyAlias(name);
  return Identify(name);
}

}  // namespace whence::http
