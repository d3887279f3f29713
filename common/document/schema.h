// What the schema does not say by itself: names that exist elsewhere, and spellings.
#ifndef WHENCE_COMMON_DOCUMENT_SCHEMA_H_
#define WHENCE_COMMON_DOCUMENT_SCHEMA_H_

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace whence::document {

// By its name in documents (lowerCamelCase); null: none.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& message,
                                                   std::string_view name);
std::vector<std::string_view> FieldNames(const google::protobuf::Descriptor& message);

// A field of Istio's message of which ours is the part that Whence acts on.
bool IsUnsupportedField(const google::protobuf::Descriptor& message, std::string_view name);
// A field that a Kubernetes server adds or that is Kubernetes' business alone: taken and dropped.
bool IsDroppedField(const google::protobuf::Descriptor& message, std::string_view name);
// A kind of Istio or Kubernetes that Whence keeps no documents of (EnvoyFilter, Deployment, …).
bool IsUnsupportedKind(std::string_view kind);

// Enum values as people write them: "TRUSTED_CLIENT"; null: no such value. The value that means
// "not given" (…_UNSPECIFIED) cannot be written.
const google::protobuf::EnumValueDescriptor* FindEnumValue(
    const google::protobuf::EnumDescriptor& type, std::string_view written);
std::string_view EnumValueName(const google::protobuf::EnumValueDescriptor& value);
std::vector<std::string_view> EnumValueNames(const google::protobuf::EnumDescriptor& type);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_SCHEMA_H_
