#include "common/http/field_id.h"

#include <cstddef>
#include <cstring>

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
    {"x-envoy-external-address", FieldId::kXEnvoyExternalAddress},
    {"x-forwarded-client-cert", FieldId::kXForwardedClientCert},
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

// For every length, whether some known name has it: most received names are settled by one bit.
constexpr uint64_t LengthsOfNames() {
  uint64_t lengths = 0;
  for (const Name& name : kNames) lengths |= uint64_t{1} << name.text.size();
  return lengths;
}
constexpr uint64_t kLengths = LengthsOfNames();

FieldId Identify(std::string_view name) {
  if (name.size() < 64 && (kLengths >> name.size()) & 1) {
    for (const Name& known : kNames) {
      if (known.text.size() == name.size() && ToLowerAscii(name[0]) == known.text[0] &&
          EqualsIgnoreCase(name, known.text)) {
        return known.id;
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
