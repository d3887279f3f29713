#include "common/lint/lint.h"

#include "common/document/ip_set.h"
#include "common/document/kinds.h"
#include "common/lint/report.h"
#include "common/net/cidr.h"

namespace whence::lint {
namespace {

bool HasIpv6(const google::protobuf::RepeatedPtrField<std::string>& addresses) {
  for (const std::string& text : addresses) {
    const auto cidr = net::Cidr::Parse(text);
    if (cidr.ok() && !cidr->is_v4()) return true;
  }
  return false;
}

bool DeclaresIpv6(const v1::Document& document) {
  if (document.has_mesh()) {
    const v1::MeshSpec& mesh = document.mesh();
    return HasIpv6(mesh.pod_cidrs()) || HasIpv6(mesh.node_cidrs()) || HasIpv6(mesh.service_cidrs());
  }
  if (!document.has_service()) return false;
  const v1::ServiceSpec& service = document.service();
  for (const std::string& family : service.ip_families()) {
    if (family == "IPv6") return true;
  }
  return HasIpv6(service.cluster_ips()) || service.ip_family_policy() == "RequireDualStack";
}

}  // namespace

Whole::Whole(const std::vector<v1::Document>& all, const Surroundings& around)
    : documents(all), surroundings(around), serves_ipv6(around.serves_ipv6) {
  for (const v1::Document& document : documents) {
    serves_ipv6 = serves_ipv6 || DeclaresIpv6(document);
    if (document.has_mesh() && !document.mesh().root_namespace().empty()) {
      root_namespace = document.mesh().root_namespace();
    }
  }
}

bool Includes(const Labels& labels, const Labels& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

bool CanMeet(const Whole& whole, const std::string& a_namespace, const Labels& a,
             const std::string& b_namespace, const Labels& b) {
  if (a_namespace != b_namespace && a_namespace != whole.root_namespace &&
      b_namespace != whole.root_namespace) {
    return false;
  }
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other != b.end() && other->second != value) return false;
  }
  return true;
}

void Report::Warn(const std::string& path, std::string message) {
  const document::Location at = parsed_.locations.Find(path);
  v1::Fault& warning = out_.emplace_back();
  warning.set_file(parsed_.file);
  warning.set_line(at.line);
  warning.set_column(at.column);
  warning.set_document(document::DisplayName(parsed_.document));
  warning.set_path(path);
  warning.set_message(std::move(message));
}

std::vector<v1::Fault> Lint(const std::vector<document::ParsedDocument>& changed,
                            const std::vector<v1::Document>& whole_result,
                            const Surroundings& surroundings) {
  std::vector<v1::Fault> warnings;
  const Whole whole(whole_result, surroundings);
  for (const document::ParsedDocument& parsed : changed) {
    if (!parsed.document.has_ip_policy()) continue;
    Report report(parsed, &warnings);
    CheckAddresses(whole, report);
    CheckRules(whole, report);
    CheckProtocols(whole, report);
  }
  return warnings;
}

}  // namespace whence::lint
