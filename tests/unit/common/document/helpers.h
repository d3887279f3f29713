// What the tests of documents share.
#ifndef WHENCE_TESTS_UNIT_COMMON_DOCUMENT_HELPERS_H_
#define WHENCE_TESTS_UNIT_COMMON_DOCUMENT_HELPERS_H_

#include <string>
#include <vector>

#include "common/document/document.h"

namespace whence::document {

inline std::vector<std::string> Texts(const std::vector<v1::Fault>& faults) {
  std::vector<std::string> texts;
  for (const v1::Fault& fault : faults) texts.push_back(FaultText(fault));
  return texts;
}

inline ParseResult ParseYaml(const std::string& text, bool ignore_unsupported = false) {
  ParseOptions options;
  options.ignore_unsupported = ignore_unsupported;
  return Parse("f.yaml", text, options);
}

// A document of `kind` "n/a" with this spec, which is indented by two.
inline std::string WithSpec(const std::string& api_version, const std::string& kind,
                            const std::string& spec) {
  return "apiVersion: " + api_version + "\nkind: " + kind +
         "\nmetadata: {name: a, namespace: n}\nspec:\n" + spec;
}

}  // namespace whence::document

#endif  // WHENCE_TESTS_UNIT_COMMON_DOCUMENT_HELPERS_H_
