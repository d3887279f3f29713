// What the tests of bundles share: documents from YAML, workloads in a line.
#ifndef WHENCE_TESTS_UNIT_COMMON_BUNDLE_HELPERS_H_
#define WHENCE_TESTS_UNIT_COMMON_BUNDLE_HELPERS_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/bundle/bundle_builder.h"
#include "common/document/document.h"

namespace whence::bundle {

inline std::vector<v1::Document> Documents(const std::string& yaml) {
  document::ParseResult result = document::Parse("f.yaml", yaml, {.ignore_unsupported = true});
  for (const v1::Fault& fault : result.faults) ADD_FAILURE() << document::FaultText(fault);
  std::vector<v1::Document> documents;
  for (auto& parsed : result.documents) documents.push_back(std::move(parsed.document));
  return documents;
}

inline Workload MakeWorkload(std::string space, std::string name,
                             std::map<std::string, std::string> labels,
                             std::vector<std::string> addresses,
                             trust::Role role = trust::Role::kSidecar) {
  Workload workload;
  workload.namespace_ = std::move(space);
  workload.name = std::move(name);
  workload.labels = std::move(labels);
  workload.role = role;
  for (const std::string& text : addresses) {
    workload.addresses.push_back(*net::IpAddress::Parse(text));
  }
  workload.has_sidecar = role == trust::Role::kSidecar;
  return workload;
}

}  // namespace whence::bundle

#endif  // WHENCE_TESTS_UNIT_COMMON_BUNDLE_HELPERS_H_
