#include "controlplane/security/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/security/openssl.h"

namespace whence::security {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 20;

absl::StatusOr<std::string> ReadPem(std::string_view flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxPemBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.find("-----BEGIN ") == std::string::npos) {
    return absl::NotFoundError(
        absl::StrCat(ToAbsl(flag), " ", path, ": cannot be read as a PEM file"));
  }
  return text;
}

WallTime TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime{};
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

std::string_view BytesOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::optional<net::IpAddress> AddressOf(const ASN1_STRING* octets) {
  const std::string_view bytes = BytesOf(octets);
  if (bytes.size() == 4) {
    std::array<uint8_t, 4> v4;
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return net::IpAddress::FromV4(v4);
  }
  net::IpAddress::Bytes v6;
  if (bytes.size() != v6.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return net::IpAddress::FromV6(v6);
}

void ReadAltNames(const X509* certificate, CertificateInfo* info) {
  Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) {
      info->uris.emplace_back(BytesOf(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_IPADD) {
      if (const auto address = AddressOf(name->d.iPAddress)) info->addresses.push_back(*address);
    }
  }
}

void ReadLabels(const X509* certificate, CertificateInfo* info) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  for (int at = -1;
       (at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) continue;
    const std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
    OPENSSL_free(utf8);
    const size_t equals = text.find('=');
    if (equals == text.npos || equals == 0) continue;  // some organization's own
    info->labels.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
}

CertificateInfo InfoOf(X509* certificate) {
  CertificateInfo info;
  Bio subject(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(subject.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  info.subject = TextOf(subject);
  ReadAltNames(certificate, &info);
  ReadLabels(certificate, &info);
  Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (char* text = serial ? BN_bn2hex(serial.get()) : nullptr) {
    info.serial = text;
    OPENSSL_free(text);
  }
  info.not_after = TimeOf(X509_get0_notAfter(certificate));
  info.is_ca = X509_check_ca(certificate) != 0;
  return info;
}

}  // namespace

absl::StatusOr<std::vector<CertificateInfo>> ParseCertificates(std::string_view pem) {
  std::vector<CertificateInfo> all;
  Bio bio = ReadFrom(pem);
  while (Certificate certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    all.push_back(InfoOf(certificate.get()));
  }
  // The end of the text is an error to OpenSSL, too; what else there may be shows in the count.
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (all.empty() || !at_end) {
    return absl::InvalidArgumentError("holds no certificate, or one that is damaged");
  }
  return all;
}

absl::StatusOr<std::vector<CertificateInfo>> ReadCertificates(std::string_view flag,
                                                              const std::string& path) {
  absl::StatusOr<std::string> pem = ReadPem(flag, path);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<std::vector<CertificateInfo>> parsed = ParseCertificates(*pem);
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(flag), " ", path, ": ", parsed.status().message()));
}

absl::Status CheckKeyPair(const std::string& certificate_path, const std::string& key_path) {
  absl::StatusOr<std::string> certificate_pem = ReadPem("--cert", certificate_path);
  if (!certificate_pem.ok()) return certificate_pem.status();
  absl::StatusOr<std::string> key_pem = ReadPem("--key", key_path);
  if (!key_pem.ok()) return key_pem.status();
  Bio certificate_bio = ReadFrom(*certificate_pem);
  Bio key_bio = ReadFrom(*key_pem);
  Certificate certificate(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  // No passphrase: an empty one instead of OpenSSL's prompt on the terminal.
  char no_passphrase[] = "";
  Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, no_passphrase));
  bool match = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!key) {
    return absl::InvalidArgumentError(
        absl::StrCat("--key ", key_path, ": holds no private key without passphrase"));
  }
  if (match) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--key ", key_path, " is not the key of --cert ", certificate_path));
}

}  // namespace whence::security
