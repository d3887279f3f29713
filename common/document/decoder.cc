#include "common/document/decoder.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"
#include "common/document/edit_distance.h"
#include "common/document/schema.h"
#include "whence/v1/documents.pb.h"

namespace whence::document {
namespace {

namespace pb = google::protobuf;
using Kind = TextNode::Kind;

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 60;
  if (text.size() <= kShown) return absl::StrCat("\"", ToAbsl(text), "\"");
  return absl::StrCat("\"", ToAbsl(CutUtf8(text, kShown)), "…\"");
}

// "a mapping", for messages about a wrong type.
std::string Describe(const TextNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  if (node.quoted) return "the string " + Quoted(node.text);
  switch (TypeOfPlain(node.text)) {
    case PlainType::kNumber:
      return "the number " + node.text;
    case PlainType::kBool:
      return "the boolean " + node.text;
    case PlainType::kNull:
      return "nothing";
    case PlainType::kText:
      break;
  }
  return "the string " + Quoted(node.text);
}

bool IsNull(const TextNode& node) {
  return node.kind == Kind::kNull ||
         (node.kind == Kind::kScalar && !node.quoted && TypeOfPlain(node.text) == PlainType::kNull);
}

std::string Join(const std::vector<std::string_view>& names) {
  std::vector<std::string> copies(names.begin(), names.end());
  return absl::StrJoin(copies, ", ");
}

// In a rule every list narrows or widens who may enter, and an empty one could be read either way.
bool RefusesEmptyLists(const pb::Descriptor& message) {
  const std::string& name = message.full_name();
  return name == "whence.v1.PolicyRule" || name == "whence.v1.PolicySource" ||
         name == "whence.v1.PolicyOperation" || name == "whence.v1.PolicyCondition";
}

// Where an empty "labels:" means what it means to Kubernetes, that there are none. Nowhere else: in a
// policy's lists "nothing" and "not given" differ, and a default that nobody asked for may be an
// ALLOW.
bool TakesNull(const pb::FieldDescriptor& field) {
  const std::string& message = field.containing_type()->full_name();
  if (message == "whence.v1.ObjectMeta" || message == "whence.v1.ServiceSpec" ||
      message == "whence.v1.ServiceSpec.Port") {
    return true;
  }
  if (field.is_map()) {
    return field.message_type()->map_value()->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING;
  }
  return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && !field.is_repeated() &&
         field.message_type()->full_name() == "whence.v1.LabelSelector";
}

// Kubernetes' int-or-string.
bool TakesNumberAsText(const pb::FieldDescriptor& field) {
  return field.full_name() == "whence.v1.ServiceSpec.Port.target_port";
}

}  // namespace

PlainType TypeOfPlain(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return PlainType::kNull;
  }
  for (const std::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
    if (text == word) return PlainType::kBool;
  }
  for (const std::string_view word : {".inf", "-.inf", "+.inf", ".nan", ".NaN"}) {
    if (text == word) return PlainType::kNumber;
  }
  if (text.front() == '+') text.remove_prefix(1);
  double number = 0;
  const auto end = text.data() + text.size();
  const bool starts_as_number = !text.empty() && (text.front() == '-' || text.front() == '.' ||
                                                  (text.front() >= '0' && text.front() <= '9'));
  const auto parsed = std::from_chars(text.data(), end, number);
  const bool is_hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o') &&
                      text.find_first_not_of("0123456789abcdefABCDEF", 2) == text.npos;
  if (is_hex ||
      (starts_as_number && parsed.ec != std::errc::invalid_argument && parsed.ptr == end)) {
    return PlainType::kNumber;
  }
  return PlainType::kText;
}

bool Decoder::Visit(const TextNode& node, const std::string& path) {
  if (budget_ == 0) return false;
  if (--budget_ == 0) {
    sink_.Fault(node.at, path, "YAML aliases make the file mean more than it holds; write it out");
    return false;
  }
  return true;
}

void Decoder::ReportUnsupported(Location at, const std::string& path, const std::string& what,
                                std::string_view consequence) {
  if (ignore_unsupported_) {
    sink_.Warn(at, path, absl::StrCat(what, "; ", ToAbsl(consequence)));
  } else {
    sink_.Fault(at, path, absl::StrCat(what, "; remove it, or apply with --ignore-unsupported"));
  }
}

void Decoder::ReportUnknownField(const pb::Descriptor& type, const TextNode& key,
                                 const std::string& path) {
  if (key.text == "<<") {
    sink_.Fault(key.at, path, "YAML merge keys are not supported; write the fields out");
    return;
  }
  const std::vector<std::string_view> names = FieldNames(type);
  const std::string nearest = Nearest(key.text, names);
  sink_.Fault(key.at, path,
              nearest.empty() ? absl::StrCat("unknown field; known here: ", Join(names))
                              : absl::StrCat("unknown field; did you mean \"", nearest, "\"?"));
}

void Decoder::DecodeMessage(const TextNode& node, const std::string& path, pb::Message* message) {
  if (!Visit(node, path)) return;
  if (node.kind != Kind::kMapping) {
    // The one message with a short form: `upstreamSource: TRUSTED_CLIENT`.
    if (auto* source = dynamic_cast<v1::UpstreamSource*>(message);
        source != nullptr && node.kind == Kind::kScalar) {
      DecodeField(*FindField(*source->GetDescriptor(), "source"), node, path, message);
      return;
    }
    sink_.Fault(node.at, path,
                absl::StrCat("must be a mapping, not ", Describe(node),
                             node.kind == Kind::kNull ? "; leave it out or write {}" : ""));
    return;
  }
  std::set<std::string_view> seen;
  for (const TextNode::Child& child : node.children) {
    if (child.key->kind != Kind::kScalar) {
      sink_.Fault(child.key->at, path,
                  absl::StrCat("a field name must be text, not ", Describe(*child.key)));
      continue;
    }
    const std::string child_path =
        path.empty() ? child.key->text : absl::StrCat(path, ".", child.key->text);
    if (!seen.insert(child.key->text).second) {
      sink_.Fault(child.key->at, child_path, "is given twice; the first is in the same mapping");
      continue;
    }
    DecodeEntry(*child.key, *child.value, child_path, message);
  }
}

void Decoder::DecodeEntry(const TextNode& key, const TextNode& value, const std::string& path,
                          pb::Message* message) {
  const pb::Descriptor& type = *message->GetDescriptor();
  if (const pb::FieldDescriptor* field = FindField(type, key.text)) {
    // A scalar is pointed at itself, anything larger at its name: its content starts a line below.
    locations_.Set(path, value.kind == Kind::kScalar ? value.at : key.at);
    DecodeField(*field, value, path, message);
  } else if (const UnsupportedField* unsupported = FindUnsupportedField(type, key.text)) {
    DecodeUnsupported(*unsupported, key, value, path);
  } else if (!IsDroppedField(type, key.text)) {
    ReportUnknownField(type, key, path);
  }
}

namespace {

constexpr const char* kUnsupported = "is an Istio field that Whence does not act on yet";

Loss LossOf(const UnsupportedField& field, const TextNode& value) {
  const bool holds = field.only_with.empty() || FindChild(value, field.only_with) != nullptr;
  return holds ? field.loss : Loss::kField;
}

}  // namespace

void Decoder::DecodeUnsupported(const UnsupportedField& field, const TextNode& key,
                                const TextNode& value, const std::string& path) {
  if (IsNull(value)) return;
  const Loss loss = LossOf(field, value);
  if (loss == Loss::kForbidden) {
    return sink_.Fault(
        key.at, absl::StrCat(path, ".", ToAbsl(field.only_with)),
        absl::StrCat(kUnsupported, ", and ignoring it would let in more than is meant; remove it"));
  }
  ReportUnsupported(key.at, path, kUnsupported, field.consequence);
  if (loss == Loss::kDocument && ignore_unsupported_) leaves_out_document_ = true;
}

bool Decoder::LeavesOut(const pb::Descriptor& type, const TextNode& item, const std::string& path) {
  if (!ignore_unsupported_ || item.kind != Kind::kMapping) return false;
  bool leaves_out = false;
  for (const TextNode::Child& child : item.children) {
    const UnsupportedField* field = FindUnsupportedField(type, child.key->text);
    if (field == nullptr || IsNull(*child.value) || LossOf(*field, *child.value) != Loss::kItem) {
      continue;
    }
    DecodeUnsupported(*field, *child.key, *child.value, absl::StrCat(path, ".", child.key->text));
    leaves_out = true;
  }
  return leaves_out || LeavesOutEveryMatch(type, item, path);
}

bool Decoder::LeavesOutEveryMatch(const pb::Descriptor& type, const TextNode& item,
                                  const std::string& path) {
  const pb::FieldDescriptor* field = FindField(type, "match");
  const TextNode* matches = FindChild(item, "match");
  if (field == nullptr || !field->is_repeated() || matches == nullptr ||
      matches->kind != Kind::kSequence || matches->children.empty()) {
    return false;
  }
  const auto narrows = [&](const TextNode::Child& match) {
    for (const TextNode::Child& child : match.value->children) {
      if (child.key == nullptr) continue;
      const UnsupportedField* one = FindUnsupportedField(*field->message_type(), child.key->text);
      if (one != nullptr && one->loss == Loss::kItem && !IsNull(*child.value)) return true;
    }
    return false;
  };
  if (!std::all_of(matches->children.begin(), matches->children.end(), narrows)) return false;
  for (size_t i = 0; i < matches->children.size(); ++i) {
    LeavesOut(*field->message_type(), *matches->children[i].value,
              absl::StrCat(path, ".match[", i, "]"));
  }
  sink_.Warn(item.at, path, "no match is left of it: the route is left out");
  return true;
}

void Decoder::DecodeField(const pb::FieldDescriptor& field, const TextNode& value,
                          const std::string& path, pb::Message* message) {
  if (TakesNull(field) && IsNull(value)) return;
  const pb::OneofDescriptor* choice = field.real_containing_oneof();
  if (choice != nullptr && message->GetReflection()->HasOneof(*message, choice)) {
    sink_.Fault(value.at, path, "only one of these can be given: its neighbour already is");
  } else if (field.is_map()) {
    DecodeMap(field, value, path, message);
  } else if (field.is_repeated()) {
    DecodeList(field, value, path, message);
  } else if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
    DecodeMessage(value, path, message->GetReflection()->MutableMessage(message, &field));
  } else {
    DecodeScalar(field, value, path, message);
  }
}

void Decoder::DecodeList(const pb::FieldDescriptor& field, const TextNode& value,
                         const std::string& path, pb::Message* message) {
  if (!Visit(value, path)) return;
  if (value.kind != Kind::kSequence) {
    const bool is_text =
        value.kind == Kind::kScalar && field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE;
    sink_.Fault(value.at, path,
                absl::StrCat("must be a list, not ", Describe(value),
                             is_text ? absl::StrCat("; write [\"", value.text, "\"]") : ""));
    return;
  }
  if (value.children.empty() && RefusesEmptyLists(*message->GetDescriptor())) {
    sink_.Fault(value.at, path, "is empty: leave it out or give at least one value");
    return;
  }
  const bool of_messages = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
  for (size_t i = 0, kept = 0; i < value.children.size(); ++i) {
    const TextNode& item = *value.children[i].value;
    if (of_messages && LeavesOut(*field.message_type(), item, absl::StrCat(path, "[", i, "]"))) {
      continue;
    }
    locations_.AddItem(path, item.at);
    // By its place in the message, as the checks call it.
    const std::string item_path = absl::StrCat(path, "[", kept++, "]");
    if (of_messages) {
      DecodeMessage(item, item_path, message->GetReflection()->AddMessage(message, &field));
    } else {
      DecodeScalar(field, item, item_path, message);
    }
  }
}

namespace {

const char* NameOfValues(const pb::FieldDescriptor& type) {
  switch (type.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return "mappings";
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return "numbers";
    default:
      return "strings";
  }
}

}  // namespace

void Decoder::DecodeMap(const pb::FieldDescriptor& field, const TextNode& value,
                        const std::string& path, pb::Message* message) {
  if (!Visit(value, path)) return;
  const pb::FieldDescriptor& type = *field.message_type()->map_value();
  if (value.kind != Kind::kMapping) {
    sink_.Fault(value.at, path,
                absl::StrCat("must be a mapping of names to ", NameOfValues(type), ", not ",
                             Describe(value)));
    return;
  }
  std::set<std::string_view> seen;
  for (const TextNode::Child& child : value.children) {
    const std::string child_path = absl::StrCat(path, ".", child.key->text);
    if (child.key->kind != Kind::kScalar) {
      sink_.Fault(child.key->at, path, "a name must be text");
    } else if (!seen.insert(child.key->text).second) {
      sink_.Fault(child.key->at, child_path, "is given twice; the first is in the same mapping");
    } else {
      DecodeMapEntry(field, child, child_path, message);
    }
  }
}

void Decoder::DecodeMapEntry(const pb::FieldDescriptor& field, const TextNode::Child& child,
                             const std::string& path, pb::Message* message) {
  const pb::FieldDescriptor& type = *field.message_type()->map_value();
  const bool of_messages = type.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
  const bool of_numbers = type.cpp_type() == pb::FieldDescriptor::CPPTYPE_UINT32;
  std::string text;
  uint32_t number = 0;
  if (of_numbers && !(Visit(*child.value, path) && ReadNumber(*child.value, path, &number))) return;
  if (!of_messages && !of_numbers &&
      !(Visit(*child.value, path) &&
        ReadString(*child.value, path, /*number_allowed=*/false, &text))) {
    return;
  }
  locations_.Set(path, of_messages ? child.key->at : child.value->at);
  pb::Message* entry = message->GetReflection()->AddMessage(message, &field);
  const pb::Reflection& reflection = *entry->GetReflection();
  reflection.SetString(entry, field.message_type()->map_key(), child.key->text);
  if (of_messages) {
    DecodeMessage(*child.value, path, reflection.MutableMessage(entry, &type));
  } else if (of_numbers) {
    reflection.SetUInt32(entry, &type, number);
  } else {
    reflection.SetString(entry, &type, std::move(text));
  }
}

void Decoder::DecodeScalar(const pb::FieldDescriptor& field, const TextNode& value,
                           const std::string& path, pb::Message* message) {
  if (!Visit(value, path)) return;
  const pb::Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      std::string text;
      if (!ReadString(value, path, TakesNumberAsText(field), &text)) return;
      if (field.is_repeated()) {
        reflection.AddString(message, &field, std::move(text));
      } else {
        reflection.SetString(message, &field, std::move(text));
      }
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t number = 0;
      if (ReadNumber(value, path, &number)) reflection.SetUInt32(message, &field, number);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_BOOL: {
      bool truth = false;
      if (ReadBool(value, path, &truth)) reflection.SetBool(message, &field, truth);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      DecodeEnum(field, value, path, message);
      return;
    default:
      // A type that the schema did not have when this was written: better a fault than a silent
      // gap.
      sink_.Fault(value.at, path, "fields of this type cannot be written in documents");
  }
}

void Decoder::DecodeEnum(const pb::FieldDescriptor& field, const TextNode& value,
                         const std::string& path, pb::Message* message) {
  const std::vector<std::string_view> names = EnumValueNames(*field.enum_type());
  if (value.kind == Kind::kScalar) {
    if (const auto* found = FindEnumValue(*field.enum_type(), value.text)) {
      message->GetReflection()->SetEnum(message, &field, found);
      return;
    }
  }
  const std::string nearest = value.kind == Kind::kScalar ? Nearest(value.text, names) : "";
  sink_.Fault(value.at, path,
              absl::StrCat("must be one of ", Join(names), ", not ", Describe(value),
                           nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
}

bool Decoder::HasLeadingZero(const TextNode& value, const std::string& path) {
  if (value.quoted || value.text.size() < 2 || value.text[0] != '0') return false;
  if (value.text.find_first_not_of("0123456789") != value.text.npos) return false;
  const size_t first = std::min(value.text.find_first_not_of('0'), value.text.size() - 1);
  sink_.Fault(value.at, path,
              absl::StrCat(value.text, " has a leading zero, which some read as octal; write ",
                           value.text.substr(first)));
  return true;
}

bool Decoder::ReadString(const TextNode& value, const std::string& path, bool number_allowed,
                         std::string* out) {
  const PlainType type = value.quoted ? PlainType::kText : TypeOfPlain(value.text);
  if (value.kind != Kind::kScalar || (!value.quoted && type == PlainType::kNull)) {
    sink_.Fault(value.at, path, absl::StrCat("must be a string, not ", Describe(value)));
    return false;
  }
  if (number_allowed && HasLeadingZero(value, path)) return false;
  if (type == PlainType::kText || (type == PlainType::kNumber && number_allowed)) {
    *out = value.text;
    return true;
  }
  sink_.Fault(
      value.at, path,
      absl::StrCat("must be a string, not ", Describe(value), "; quote it: \"", value.text, "\""));
  return false;
}

bool Decoder::ReadNumber(const TextNode& value, const std::string& path, uint32_t* out) {
  if (value.kind == Kind::kScalar) {
    if (HasLeadingZero(value, path)) return false;
    const char* end = value.text.data() + value.text.size();
    const auto parsed = std::from_chars(value.text.data(), end, *out);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == end;
    if (is_number && !value.quoted) return true;
    if (is_number) {
      sink_.Fault(value.at, path,
                  absl::StrCat("must be a number; write ", value.text, " without quotes"));
      return false;
    }
  }
  sink_.Fault(value.at, path,
              absl::StrCat("must be a whole number from 0 to 4294967295, not ", Describe(value)));
  return false;
}

bool Decoder::ReadBool(const TextNode& value, const std::string& path, bool* out) {
  if (value.kind == Kind::kScalar && !value.quoted && TypeOfPlain(value.text) == PlainType::kBool) {
    *out = ToLowerAscii(value.text[0]) == 't';
    return true;
  }
  sink_.Fault(value.at, path, absl::StrCat("must be true or false, not ", Describe(value)));
  return false;
}

}  // namespace whence::document
