#include "common/document/dry_run.h"

namespace whence::document {

std::optional<bool> ParseGoBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

bool IsDryRun(const v1::Document& policy) {
  if (policy.ip_policy().mode() == v1::IpPolicySpec::DRY_RUN) return true;
  const auto& annotations = policy.metadata().annotations();
  const auto found = annotations.find(kDryRunAnnotation);
  return found != annotations.end() && ParseGoBool(found->second).value_or(false);
}

}  // namespace whence::document
