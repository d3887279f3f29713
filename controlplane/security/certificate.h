// What is in a PEM file: enough to refuse a wrong one with a good message, and to warn in time.
#ifndef WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_H_
#define WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/net/ip_address.h"

namespace whence::security {

struct CertificateInfo {
  std::string subject;  // "CN=…", one line
  std::vector<std::string> uris;
  std::vector<net::IpAddress> addresses;
  // From the subject's organizational units of the form KEY=VALUE.
  std::map<std::string, std::string> labels;
  std::string serial;  // hexadecimal
  WallTime not_after{};
  bool is_ca = false;
};

// Every certificate in `pem`, in order; at least one. Pure.
absl::StatusOr<std::vector<CertificateInfo>> ParseCertificates(std::string_view pem);

// The same of a file. Errors name `flag` and the path, and say what to do.
absl::StatusOr<std::vector<CertificateInfo>> ReadCertificates(std::string_view flag,
                                                              const std::string& path);

// That `key_path` is the key of the first certificate in `certificate_path`.
absl::Status CheckKeyPair(const std::string& certificate_path, const std::string& key_path);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_CERTIFICATE_H_
