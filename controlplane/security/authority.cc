#include "controlplane/security/authority.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/net/ip_address.h"
#include "controlplane/security/certificate.h"
#include "controlplane/security/openssl.h"

namespace whence::security {
namespace {

// Clocks of a cluster differ; a certificate that is valid in five minutes only looks like a fault.
constexpr std::chrono::minutes kSkew(5);
constexpr char kAuthorityPrefix[] = "spiffe://";

absl::Status Failed(const char* what) {
  unsigned long code = ERR_get_error();
  char text[256] = "no reason given";
  if (code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what, ": ", text));
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate) {
  Number serial(BN_new());
  // 127 random bits: positive, and never the same twice.
  return serial && BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetTimes(X509* certificate, WallTime from, WallTime until) {
  auto seconds = [](WallTime time) { return std::chrono::system_clock::to_time_t(time); };
  return ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(until)) != nullptr;
}

constexpr size_t kMaxNamePart = 64;  // X.520, of a common name and of an organizational unit

bool AddToSubject(X509* certificate, const char* type, const std::string& text) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), type, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool SetSubject(X509* certificate, const std::string& common_name,
                const std::vector<std::string>& units) {
  return AddToSubject(certificate, "CN", common_name.substr(0, kMaxNamePart)) &&
         std::all_of(units.begin(), units.end(), [certificate](const std::string& unit) {
           return AddToSubject(certificate, "OU", unit);
         });
}

absl::StatusOr<PemPair> Write(X509* certificate, EVP_PKEY* key) {
  Bio certificate_out(BIO_new(BIO_s_mem())), key_out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_out.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Failed("write a certificate");
  }
  return PemPair{TextOf(certificate_out), TextOf(key_out)};
}

// What subjectAltName says of an address: "DNS:…" or "IP:…"; an error for what is neither, since it
// would be read as more of the extension's syntax.
absl::StatusOr<std::string> AltName(const std::string& address) {
  if (auto ip = net::IpAddress::Parse(address)) return "IP:" + ip->ToString();
  bool is_host = !address.empty() && address.size() <= 253 &&
                 std::all_of(address.begin(), address.end(), [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                          (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
                 });
  if (is_host) return "DNS:" + address;
  return absl::InvalidArgumentError(
      absl::StrCat("address \"", address, "\": give a host name or an IP address, without port"));
}

bool IsOfAgents(Kind kind) { return kind == Kind::kAgent || kind == Kind::kWorkload; }

// As Kubernetes has labels, but within what a subject can hold.
bool IsLabel(const std::string& text) {
  const size_t equals = text.find('=');
  const auto consists = [](std::string_view part, std::string_view besides) {
    return std::all_of(part.begin(), part.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             besides.find(c) != besides.npos;
    });
  };
  return text.size() <= kMaxNamePart && equals != text.npos && equals > 0 &&
         consists(std::string_view(text).substr(0, equals), "-_./") &&
         consists(std::string_view(text).substr(equals + 1), "-_.");
}

// Whether a certificate of that kind can say all of it.
absl::Status CheckNamed(const IssueRequest& request) {
  const Kind kind = request.identity.kind;
  for (const std::string& address : request.addresses) {
    if (kind == Kind::kControlPlane) continue;
    if (!IsOfAgents(kind)) return absl::InvalidArgumentError("an operator has no address");
    if (const auto ip = net::IpAddress::Parse(address); ip && ip->is_unicast()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", address, "\": an agent has IP addresses only, without port"));
  }
  for (const std::string& label : request.labels) {
    if (!IsOfAgents(kind)) return absl::InvalidArgumentError("labels are for agents and workloads");
    if (IsLabel(label)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("label \"", label, "\": give KEY=VALUE of at most ", kMaxNamePart, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PemPair> MakeAuthority(const std::string& trust_domain, WallTime now,
                                      std::chrono::hours validity) {
  if (!IsTrustDomain(trust_domain)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trust domain \"", trust_domain, "\": give a DNS name in lower case such as whence.local"));
  }
  Key key(EVP_EC_gen("P-256"));
  Certificate certificate(X509_new());
  if (!key || !certificate) return Failed("make a key");
  X509* raw = certificate.get();
  bool good = X509_set_version(raw, X509_VERSION_3) == 1 && SetSerial(raw) &&
              SetTimes(raw, now - kSkew, now + validity) &&
              SetSubject(raw, "Whence CA of " + trust_domain, {}) &&
              X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
              X509_set_pubkey(raw, key.get()) == 1 &&
              AddExtension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              AddExtension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              AddExtension(raw, raw, NID_subject_key_identifier, "hash") &&
              AddExtension(raw, raw, NID_subject_alt_name, "URI:spiffe://" + trust_domain) &&
              X509_sign(raw, key.get(), EVP_sha256()) > 0;
  if (!good) return Failed("make a certificate authority");
  return Write(raw, key.get());
}

absl::StatusOr<std::string> TrustDomainOf(std::string_view authority_certificate) {
  absl::StatusOr<std::vector<CertificateInfo>> parsed = ParseCertificates(authority_certificate);
  if (!parsed.ok()) return parsed.status();
  const CertificateInfo& authority = (*parsed)[0];
  std::string uri = authority.uris.size() == 1 ? authority.uris[0] : "";
  std::string domain =
      uri.starts_with(kAuthorityPrefix) ? uri.substr(sizeof(kAuthorityPrefix) - 1) : "";
  if (!authority.is_ca || !IsTrustDomain(domain)) {
    return absl::InvalidArgumentError(
        "is no certificate authority with a trust domain: make one with whencectl certs init");
  }
  return domain;
}

absl::StatusOr<PemPair> Issue(const PemPair& authority, const IssueRequest& request, WallTime now) {
  if (absl::Status status = CheckNamed(request); !status.ok()) return status;
  absl::StatusOr<std::vector<CertificateInfo>> info = ParseCertificates(authority.certificate);
  if (!info.ok()) return info.status();
  Bio issuer_bio = ReadFrom(authority.certificate), key_bio = ReadFrom(authority.key);
  Certificate issuer(PEM_read_bio_X509(issuer_bio.get(), nullptr, nullptr, nullptr));
  char no_passphrase[] = "";
  Key issuer_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, no_passphrase));
  if (!issuer || !issuer_key || X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    return Failed("read the authority's key");
  }
  bool is_server = request.identity.kind == Kind::kControlPlane;
  std::string names = "URI:" + ToUri(request.identity);
  for (const std::string& address : request.addresses) {
    absl::StatusOr<std::string> name = AltName(address);
    if (!name.ok()) return name.status();
    absl::StrAppend(&names, ",", *name);
  }
  Key key(EVP_EC_gen("P-256"));
  Certificate certificate(X509_new());
  if (!key || !certificate) return Failed("make a key");
  X509* raw = certificate.get();
  bool good = X509_set_version(raw, X509_VERSION_3) == 1 && SetSerial(raw) &&
              SetTimes(raw, now - kSkew, std::min(now + request.validity, (*info)[0].not_after)) &&
              SetSubject(raw, request.identity.name, request.labels) &&
              X509_set_issuer_name(raw, X509_get_subject_name(issuer.get())) == 1 &&
              X509_set_pubkey(raw, key.get()) == 1 &&
              AddExtension(raw, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
              AddExtension(raw, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
              AddExtension(raw, issuer.get(), NID_ext_key_usage,
                           is_server ? "serverAuth,clientAuth" : "clientAuth") &&
              AddExtension(raw, issuer.get(), NID_authority_key_identifier, "keyid") &&
              AddExtension(raw, issuer.get(), NID_subject_alt_name, names) &&
              X509_sign(raw, issuer_key.get(), EVP_sha256()) > 0;
  if (!good) return Failed("issue a certificate");
  return Write(raw, key.get());
}

}  // namespace whence::security
