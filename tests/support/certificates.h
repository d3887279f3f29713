// Certificates for tests, in files, as whencectl certs makes them.
#ifndef WHENCE_TESTS_SUPPORT_CERTIFICATES_H_
#define WHENCE_TESTS_SUPPORT_CERTIFICATES_H_

#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/security/authority.h"

namespace whence {

// One CA; its certificates go to `directory`/NAME.crt and .key.
class TestAuthority {
 public:
  explicit TestAuthority(std::string directory, const std::string& domain = "whence.local")
      : directory_(std::move(directory)), domain_(domain) {
    auto made = security::MakeAuthority(domain, Now(), std::chrono::hours(24));
    EXPECT_TRUE(made.ok()) << made.status();
    authority_ = *made;
  }
  const std::string& certificate() const { return authority_.certificate; }

  security::PemPair Issue(security::Kind kind, const std::string& name,
                          const std::string& name_space = "",
                          trust::Role role = trust::Role::kSidecar,
                          const std::vector<std::string>& addresses = {},
                          const std::vector<std::string>& labels = {}) const {
    const bool is_server = kind == security::Kind::kControlPlane;
    auto issued =
        security::Issue(authority_,
                        {{kind, domain_, name_space, name, role},
                         is_server ? std::vector<std::string>{"127.0.0.1", "localhost"} : addresses,
                         std::chrono::hours(24),
                         labels},
                        Now());
    EXPECT_TRUE(issued.ok()) << issued.status();
    return *issued;
  }
  // To files, each replaced in one step.
  void Write(const std::string& name, const security::PemPair& pair) const {
    Replace(name + ".key", pair.key);
    Replace(name + ".crt", pair.certificate);
  }
  void Replace(const std::string& name, const std::string& text) const {
    std::string path = directory_ + "/" + name;
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }
  std::shared_ptr<grpc::ChannelCredentials> Client(const security::PemPair& pair,
                                                   const std::string& roots = "") const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = roots.empty() ? authority_.certificate : roots;
    options.pem_cert_chain = pair.certificate;
    options.pem_private_key = pair.key;
    return grpc::SslCredentials(options);
  }

 private:
  static WallTime Now() { return SystemClock().Now(); }

  std::string directory_;
  std::string domain_;
  security::PemPair authority_;
};

}  // namespace whence

#endif  // WHENCE_TESTS_SUPPORT_CERTIFICATES_H_
