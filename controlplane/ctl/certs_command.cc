// whencectl certs: a private CA, on this machine and without a control plane.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/text.h"
#include "controlplane/security/authority.h"
#include "controlplane/security/certificate.h"

namespace whence::ctl {
namespace {

using security::PemPair;

// Never over an existing file, never through a link, readable by its owner only.
absl::Status WriteNew(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::AlreadyExistsError(absl::StrCat(
        path, ": ", std::strerror(errno),
        errno == EEXIST ? ": it is not overwritten: choose another name or move it away" : ""));
  }
  bool good =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  int error = errno;
  close(fd);
  if (good) return absl::OkStatus();
  unlink(path.c_str());
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(error)));
}

// Both or none: a key without its certificate would only be in the way of the next attempt.
absl::Status WriteBoth(const std::string& prefix, const PemPair& pair) {
  absl::Status status = WriteNew(prefix + ".key", pair.key);
  if (!status.ok()) return status;
  status = WriteNew(prefix + ".crt", pair.certificate);
  if (!status.ok()) unlink((prefix + ".key").c_str());
  return status;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat(path, " cannot be read: make a CA with whencectl certs init, or give --dir"));
  }
  return text.str();
}

int Fail(const absl::Status& status, std::ostream& err) {
  err << "whencectl: " << Escape(std::string(status.message())) << "\n";
  return kFailed;
}

int Report(const std::string& prefix, const PemPair& pair, Output output, std::ostream& out) {
  auto info = security::ParseCertificates(pair.certificate);
  const security::CertificateInfo& made = (*info)[0];
  std::string uri = made.uris.empty() ? "" : made.uris[0];
  int64_t until = made.not_after.time_since_epoch().count();
  if (output == Output::kJson) {
    out << nlohmann::json({{"certificate", prefix + ".crt"},
                           {"key", prefix + ".key"},
                           {"uri", uri},
                           {"serial", made.serial},
                           {"notAfter", TimeText(until)}})
               .dump(2)
        << "\n";
  } else {
    out << prefix << ".crt and " << prefix << ".key: " << uri << ", until " << TimeText(until)
        << "\n";
  }
  return kGood;
}

absl::StatusOr<PemPair> IssueFrom(const CertsIssueOptions& options) {
  absl::StatusOr<std::string> certificate = ReadWhole(options.directory + "/ca.crt");
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> key = ReadWhole(options.directory + "/ca.key");
  if (!key.ok()) return key.status();
  absl::StatusOr<std::string> domain = security::TrustDomainOf(*certificate);
  if (!domain.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.directory, "/ca.crt ", domain.status().message()));
  }
  security::IssueRequest request{options.identity, options.addresses, options.validity,
                                 options.labels};
  request.identity.trust_domain = *domain;
  return security::Issue({*certificate, *key}, request, SystemClock().Now());
}

}  // namespace

int CertsInit(const CertsInitOptions& options, std::ostream& out, std::ostream& err) {
  if (mkdir(options.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Fail(absl::UnavailableError(
                    absl::StrCat("--dir ", options.directory, ": ", std::strerror(errno))),
                err);
  }
  auto made = security::MakeAuthority(options.trust_domain, SystemClock().Now(), options.validity);
  if (!made.ok()) return Fail(made.status(), err);
  std::string prefix = options.directory + "/ca";
  if (absl::Status status = WriteBoth(prefix, *made); !status.ok()) return Fail(status, err);
  return Report(prefix, *made, options.output, out);
}

int CertsIssue(const CertsIssueOptions& options, std::ostream& out, std::ostream& err) {
  absl::StatusOr<PemPair> made = IssueFrom(options);
  if (!made.ok()) return Fail(made.status(), err);
  if (absl::Status status = WriteBoth(options.prefix, *made); !status.ok()) {
    return Fail(status, err);
  }
  const auto info = security::ParseCertificates(made->certificate);
  const auto asked = SystemClock().Now() + options.validity;
  // A minute: the CA's end is the only thing that cuts it by more than the time since.
  if (info.ok() && (*info)[0].not_after + std::chrono::minutes(1) < asked) {
    err << "warning: valid for less than --days, since the CA itself ends then: make a new one "
           "with "
           "whencectl certs init\n";
  }
  return Report(options.prefix, *made, options.output, out);
}

}  // namespace whence::ctl
