#include "common/document/check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/edit_distance.h"
#include "common/document/resource_version.h"
#include "common/net/cidr.h"

namespace whence::document {

std::string Item(const std::string& path, int index) { return absl::StrCat(path, "[", index, "]"); }

void CheckContext::Fault(const std::string& path, std::string message) {
  if (sink_.HasFaultBelow(path)) return;
  sink_.Fault(parsed_.locations.Find(path), path, std::move(message));
}

void CheckContext::Warn(const std::string& path, std::string message) {
  sink_.Warn(parsed_.locations.Find(path), path, std::move(message));
}

void CheckContext::Unsupported(const std::string& path, std::string message,
                               std::string_view consequence) {
  if (ignore_unsupported_) {
    Warn(path, message.append("; ").append(consequence));
  } else {
    Fault(path, message + "; remove it, or apply with --ignore-unsupported");
  }
}

void CheckContext::MissingUnlessLeftOut(const std::string& path, std::string message,
                                        std::string left_out) {
  if (ignore_unsupported_) {
    Warn(path, std::move(left_out));
  } else {
    Fault(path, std::move(message));
  }
}

void CheckContext::CheckSelector(const google::protobuf::Map<std::string, std::string>& labels,
                                 const std::string& path) {
  // A protobuf map has no order of its own, and messages should not change from run to run.
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  for (const auto& [key, value] : sorted) {
    Expect(CheckLabelKey(key), path + "." + key);
    Expect(CheckLabelValue(value), path + "." + key);
  }
}

void CheckContext::CheckCidrs(const google::protobuf::RepeatedPtrField<std::string>& cidrs,
                              const std::string& path) {
  for (int i = 0; i < cidrs.size(); ++i) {
    const auto cidr = net::Cidr::Parse(cidrs[i]);
    if (!cidr.ok()) {
      Fault(Item(path, i), std::string(cidr.status().message()));
    } else if (cidr->has_host_bits()) {
      Warn(Item(path, i), HostBitsWarning(cidrs[i], *cidr));
    }
  }
}

void CheckContext::CheckOneOf(const std::string& value, std::span<const std::string_view> known,
                              const std::string& path) {
  if (value.empty() || std::find(known.begin(), known.end(), value) != known.end()) return;
  const std::string nearest = Nearest(value, {known.begin(), known.end()});
  std::string names;
  for (const std::string_view name : known) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", ToAbsl(name));
  }
  Fault(path, absl::StrCat("must be one of ", names, ", not \"", value, "\"",
                           nearest.empty() ? "" : "; did you mean " + nearest + "?"));
}

void CheckContext::CheckEach(const google::protobuf::RepeatedPtrField<std::string>& values,
                             const std::string& path, Complaint (*check)(std::string_view)) {
  for (int i = 0; i < values.size(); ++i) Expect(check(values[i]), Item(path, i));
}

void CheckMetadata(CheckContext& context) {
  const v1::ObjectMeta& metadata = context.document().metadata();
  if (metadata.name().empty()) {
    context.Fault("metadata.name", "is missing: every document needs a name");
  } else {
    context.Expect(CheckObjectName(metadata.name()), "metadata.name");
  }
  context.Expect(CheckLabelName(metadata.namespace_()), "metadata.namespace");
  context.CheckSelector(metadata.labels(), "metadata.labels");
  if (IsOurResourceVersion(metadata.resource_version()) &&
      !ParseResourceVersion(metadata.resource_version())) {
    context.Fault("metadata.resourceVersion",
                  absl::StrCat("\"", metadata.resource_version(),
                               "\" is no such version: leave it as get printed it, such as "
                               "revision-12, or take it out"));
  }
}

void CheckSpec(CheckContext& context) {
  const v1::Document& document = context.document();
  switch (document.spec_case()) {
    case v1::Document::kTrustTopology:
      return CheckTrustTopology(document.trust_topology(), context);
    case v1::Document::kIpPolicy:
      return CheckIpPolicy(document.ip_policy(), context);
    case v1::Document::kIpSet:
      return CheckIpSet(document.ip_set(), context);
    case v1::Document::kMesh:
      return CheckMesh(document.mesh(), context);
    case v1::Document::kGateway:
      return CheckGateway(document.gateway(), context);
    case v1::Document::kVirtualService:
      return CheckVirtualService(document.virtual_service(), context);
    case v1::Document::kDestinationRule:
      return CheckDestinationRule(document.destination_rule(), context);
    case v1::Document::kServiceEntry:
      return CheckServiceEntry(document.service_entry(), context);
    case v1::Document::kService:
      return CheckService(document.service(), context);
    case v1::Document::SPEC_NOT_SET:
      return;
  }
}

}  // namespace whence::document
