// What the checks of this folder share: the configuration around a policy, and where to say it.
#ifndef WHENCE_COMMON_LINT_REPORT_H_
#define WHENCE_COMMON_LINT_REPORT_H_

#include <string>
#include <vector>

#include "common/lint/lint.h"

namespace whence::lint {

using Labels = google::protobuf::Map<std::string, std::string>;

// The configuration as it would be. Immutable.
struct Whole {
  Whole(const std::vector<v1::Document>& documents, const Surroundings& surroundings);

  const std::vector<v1::Document>& documents;
  const Surroundings& surroundings;
  std::string root_namespace = "istio-system";
  bool serves_ipv6 = false;
};

// Some workload could be spoken of by both: their namespaces meet, and no label is wanted with two
// values.
bool CanMeet(const Whole& whole, const std::string& a_namespace, const Labels& a,
             const std::string& b_namespace, const Labels& b);
// Every pair of `wanted` is in `labels`.
bool Includes(const Labels& labels, const Labels& wanted);

// Warnings about one document.
class Report {
 public:
  Report(const document::ParsedDocument& parsed, std::vector<v1::Fault>* out)
      : parsed_(parsed), out_(*out) {}
  const v1::Document& document() const { return parsed_.document; }
  void Warn(const std::string& path, std::string message);

 private:
  const document::ParsedDocument& parsed_;
  std::vector<v1::Fault>& out_;
};

// ---- The checks, each of one policy -------------------------------------------------------------

// One range of a list within another; a denial of IPv4 alone; remoteIpBlocks where nobody is
// trusted to say what is remote.
void CheckAddresses(const Whole& whole, Report& report);
// Rules that can never match, and those of which another has matched everything before.
void CheckRules(const Whole& whole, Report& report);
// Methods, paths and hosts on ports that are declared TCP.
void CheckProtocols(const Whole& whole, Report& report);

}  // namespace whence::lint

#endif  // WHENCE_COMMON_LINT_REPORT_H_
