#include "controlplane/webhook/server_certificate.h"

#include <openssl/err.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "controlplane/security/certificate.h"

namespace whence::webhook {
namespace {

constexpr std::chrono::seconds kRefresh(2);

// We speak HTTP/1.1 only. A client that offers nothing we know gets no extension back and may try.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned int in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kOurs,
                                          sizeof(kOurs) - 1, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

absl::StatusOr<ServerCertificate> ServerCertificate::Load(std::string certificate_path,
                                                          std::string key_path,
                                                          const log::Logger& logger) {
  ServerCertificate certificate(std::move(certificate_path), std::move(key_path), logger);
  certificate.stamp_ = certificate.Look();
  absl::StatusOr<TlsContext> context = certificate.Read();
  if (!context.ok()) return context.status();
  certificate.context_ = *std::move(context);
  return certificate;
}

ServerCertificate::Stamp ServerCertificate::Look() const {
  Stamp stamp;
  for (const std::string& path : {certificate_path_, key_path_}) {
    struct stat file {};
    if (stat(path.c_str(), &file) != 0) {
      absl::StrAppend(&stamp.text, "none ");
      continue;
    }
    absl::StrAppend(&stamp.text, file.st_dev, ".", file.st_ino, ".", file.st_size, ".",
                    file.st_mtim.tv_sec, ".", file.st_mtim.tv_nsec, " ");
  }
  return stamp;
}

absl::StatusOr<TlsContext> ServerCertificate::Read() const {
  auto parsed = security::ReadCertificates("--webhook-cert", certificate_path_);
  if (!parsed.ok()) return parsed.status();
  if (absl::Status match = security::CheckKeyPair(certificate_path_, key_path_); !match.ok()) {
    return match;
  }
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  const bool good =
      context != nullptr && SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
      SSL_CTX_use_certificate_chain_file(context.get(), certificate_path_.c_str()) == 1 &&
      SSL_CTX_use_PrivateKey_file(context.get(), key_path_.c_str(), SSL_FILETYPE_PEM) == 1 &&
      SSL_CTX_check_private_key(context.get()) == 1;
  ERR_clear_error();
  if (!good) {
    return absl::InvalidArgumentError(absl::StrCat("--webhook-cert ", certificate_path_,
                                                   ": not usable with --webhook-key ", key_path_));
  }
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  return context;
}

TlsSession ServerCertificate::NewSession(Time now) {
  if (now - looked_ >= kRefresh) {
    looked_ = now;
    const Stamp stamp = Look();
    if (!(stamp == stamp_) && !(stamp == refused_)) {
      absl::StatusOr<TlsContext> context = Read();
      // Both may have been read while one of them was replaced: only what did not move counts.
      const bool is_still = Look() == stamp;
      if (context.ok() && is_still) {
        context_ = *std::move(context);
        stamp_ = stamp;
        logger_->Info("webhook certificate was replaced", {{"file", certificate_path_}});
      } else if (is_still) {
        refused_ = stamp;
        logger_->Warning("webhook certificate cannot be used: the one before stays",
                         {{"why", std::string(context.status().message())}});
      }
    }
  }
  return TlsSession(SSL_new(context_.get()));
}

}  // namespace whence::webhook
