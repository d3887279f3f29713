// Manifests read back as values.
#ifndef WHENCE_TESTS_UNIT_COMMON_INJECT_HELPERS_H_
#define WHENCE_TESTS_UNIT_COMMON_INJECT_HELPERS_H_

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "common/document/text_node.h"
#include "common/inject/text_editor.h"

namespace whence::inject {

inline std::vector<Json> Documents(std::string_view text) {
  const document::TextFile file = document::ParseText(text);
  EXPECT_EQ(file.error, "") << text;
  std::vector<Json> documents;
  for (const document::TextNode* node : file.documents) {
    const absl::StatusOr<Json> json = ToJson(*node);
    EXPECT_TRUE(json.ok()) << json.status();
    if (json.ok()) documents.push_back(*json);
  }
  return documents;
}

inline Json Parse(std::string_view text) {
  std::vector<Json> documents = Documents(text);
  EXPECT_EQ(documents.size(), 1U);
  return documents.empty() ? Json() : documents[0];
}

}  // namespace whence::inject

#endif  // WHENCE_TESTS_UNIT_COMMON_INJECT_HELPERS_H_
