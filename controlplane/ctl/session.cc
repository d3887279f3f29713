#include "controlplane/ctl/session.h"

#include <fstream>
#include <sstream>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/ctl/text.h"

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
                  << ": " << reason << ": is whence-control running? set --control-plane\n";
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
