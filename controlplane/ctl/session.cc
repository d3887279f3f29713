#include "controlplane/ctl/session.h"

#include <fstream>
#include <sstream>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/ctl/text.h"
#include "controlplane/security/certificate.h"

namespace whence::ctl {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // as the server's

absl::StatusOr<std::string> ReadPem(const char* flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || text.str().find("-----BEGIN ") == std::string::npos) {
    return absl::NotFoundError(absl::StrCat(flag, " ", path, ": cannot be read as a PEM file"));
  }
  return text.str();
}

// How to mend that no connection came about. gRPC says why in its words and those of OpenSSL.
std::string Advice(const Session& session, const std::string& reason) {
  const auto says = [&](const char* words) { return reason.find(words) != std::string::npos; };
  if (says("certificate verify failed")) {
    return "its certificate is not of the CA in --ca, or has expired";
  }
  if (says("is not in peer certificate")) {
    return "its certificate has another name: reach it by one that it has, or issue it with "
           "--address";
  }
  if (says("wrong version number"))
    return "it speaks no TLS there: leave out --ca, or set the port";
  // It was there, and hung up.
  if (says("Socket closed") || says("Ssl handshake failed")) {
    if (!session.is_tls) return "does it speak TLS there? give --ca";
    if (!session.has_certificate) return "does it ask for a certificate? give --cert and --key";
    return "does it take --cert? it has to be of a CA that whence-control has as --ca";
  }
  return "is whence-control running? set --control-plane";
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.ca.empty()) {
    grpc::SslCredentialsOptions tls;
    for (auto [flag, path, text] : {std::tuple{"--ca", &options.ca, &tls.pem_root_certs},
                                    std::tuple{"--cert", &options.certificate, &tls.pem_cert_chain},
                                    std::tuple{"--key", &options.key, &tls.pem_private_key}}) {
      if (path->empty()) continue;
      absl::StatusOr<std::string> pem = ReadPem(flag, *path);
      if (!pem.ok()) return pem.status();
      *text = std::move(*pem);
    }
    // gRPC says "empty address list" of a file that holds none.
    if (auto ca = security::ReadCertificates("--ca", options.ca); !ca.ok()) return ca.status();
    if (!options.certificate.empty()) {
      absl::Status pair = security::CheckKeyPair(options.certificate, options.key);
      if (!pair.ok()) return pair;
    }
    credentials = grpc::SslCredentials(tls);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // A proxy from the environment is for the web.
  return grpc::CreateCustomChannel(options.address, credentials, arguments);
}

int PrintFailure(const Session& session, const grpc::Status& status) {
  std::string reason = Escape(status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      // Its own words: it was reached, and cannot do it now.
      if (status.error_message().find("etcd does not answer") != std::string::npos) {
        session.err << "whencectl: " << reason << "\n";
        break;
      }
      session.err << "whencectl: cannot reach the control plane at " << Escape(session.address)
                  << ": " << reason << ": " << Advice(session, reason) << "\n";
      break;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      session.err << "whencectl: the control plane at " << Escape(session.address)
                  << " did not answer in time: is it overloaded, or is it no whence-control?\n";
      break;
    case grpc::StatusCode::UNIMPLEMENTED:
      session.err << "whencectl: the program at " << Escape(session.address)
                  << " does not know this call: is it a whence-control of this version?\n";
      break;
    default:
      session.err << "whencectl: " << reason << "\n";
  }
  return kFailed;
}

}  // namespace whence::ctl
