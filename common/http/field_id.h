// Names of the header fields that a proxy must act on, so that nobody compares strings twice.
//
// The head parser identifies each field once; forwarding, trust and the connection logic then
// switch on the id. A name that is nobody's business is kOther.
#ifndef WHENCE_COMMON_HTTP_FIELD_ID_H_
#define WHENCE_COMMON_HTTP_FIELD_ID_H_

#include <cstdint>
#include <string_view>

namespace whence::http {

enum class FieldId : uint8_t {
  kOther,
  // Framing and routing.
  kHost,
  kContentLength,
  kTransferEncoding,
  kExpect,
  // Hop by hop (RFC 9110, 7.6.1).
  kConnection,
  kKeepAlive,
  kProxyConnection,
  kTe,
  kTrailer,
  kUpgrade,
  kHttp2Settings,
  // The forwarded family: they name a client, or steer those who believe it.
  kForwarded,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedHost,
  kXForwardedClientCert,
  kXForwardedOther,  // any other x-forwarded-*
  kXRealIp,
  kXRequestId,
  kXWhenceClient,
  kXWhenceOther,  // any other x-whence-*
  kXEnvoyExternalAddress,
  kXEnvoyInternal,
  kXEnvoyOther,  // any other x-envoy-*
  // `content_length`, `x_forwarded_for`, …: one of the names above (or host, true-client-ip) spelt
  // with underscores. CGI-like applications cannot tell them apart from the real ones, so they are
  // never forwarded.
  kUnderscoreAlias,
  kDate,  // a proxy adds it where it is missing
};

// Without regard to case. No allocation; a handful of instructions for names that are not in the
// list.
FieldId IdentifyField(std::string_view name);

// True for the fields by which a client is named or a proxy steered: the forwarded family above
// without x-request-id.
constexpr bool IsForwardedFamily(FieldId id) {
  return id >= FieldId::kForwarded && id <= FieldId::kXEnvoyOther && id != FieldId::kXRequestId;
}

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_FIELD_ID_H_
