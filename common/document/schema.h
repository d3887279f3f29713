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

// What must go with a field that is ignored, so that what is left does not mean more than was
// written: nothing; the list's item that it stands in; the document; or it cannot be ignored.
enum class Loss { kField, kItem, kDocument, kForbidden };

// A field of Istio's message of which ours is the part that Whence acts on.
struct UnsupportedField {
  constexpr UnsupportedField(const char* field, Loss with_it = Loss::kField,
                             std::string_view said = "it is ignored",
                             std::string_view child = std::string_view())
      : name(field), loss(with_it), consequence(said), only_with(child) {}

  std::string_view name;
  Loss loss;
  std::string_view consequence;  // of ignoring it, as warnings say it
  std::string_view only_with;    // not empty: `loss` holds only if it has this field within
};

// Null: there is none of this name.
const UnsupportedField* FindUnsupportedField(const google::protobuf::Descriptor& message,
                                             std::string_view name);
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
