// A value as YAML text: block style for people, flow style where the surroundings are.
#ifndef WHENCE_COMMON_INJECT_YAML_TEXT_H_
#define WHENCE_COMMON_INJECT_YAML_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "common/inject/edit.h"

namespace whence::inject {

// Lines that end in a newline, each indented by `indent` blanks.
std::string BlockEntry(std::string_view key, const Json& value, size_t indent);
std::string BlockItem(const Json& value, size_t indent);

// One line without an end. JSON, which is YAML.
std::string FlowEntry(std::string_view key, const Json& value);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_YAML_TEXT_H_
