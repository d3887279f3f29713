// Documents -> text that parses to the same documents.
//
// Both forms are printed from one ordered tree, so that YAML and JSON cannot differ in content.
#include <algorithm>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/decoder.h"
#include "common/document/document.h"
#include "common/document/ip_set.h"
#include "common/document/kinds.h"
#include "common/document/schema.h"

namespace whence::document {
namespace {

namespace pb = google::protobuf;

struct Member;
struct Value {
  enum class Kind { kText, kLiteral, kList, kMapping };
  Kind kind = Kind::kMapping;
  std::string text;             // kText, kLiteral
  std::vector<Member> members;  // kMapping; kList without names
};
struct Member {
  std::string name;
  Value value;
};

Value Text(std::string text) { return {Value::Kind::kText, std::move(text), {}}; }
Value Literal(std::string text) { return {Value::Kind::kLiteral, std::move(text), {}}; }

Value FromMessage(const pb::Message& message);

Value FromScalar(const pb::Message& message, const pb::FieldDescriptor& field, int index) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return FromMessage(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                  : reflection.GetMessage(message, &field));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return Text(repeated ? reflection.GetRepeatedString(message, &field, index)
                           : reflection.GetString(message, &field));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return Literal(absl::StrCat(reflection.GetUInt32(message, &field)));
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return Literal(reflection.GetBool(message, &field) ? "true" : "false");
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return Text(std::string(EnumValueName(*reflection.GetEnum(message, &field))));
    default:
      return Literal("null");  // Decoder accepts no such field.
  }
}

Value FromMap(const pb::Message& message, const pb::FieldDescriptor& field) {
  std::map<std::string, Value> sorted;
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const pb::Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const pb::Descriptor& type = *entry.GetDescriptor();
    sorted[entry.GetReflection()->GetString(entry, type.map_key())] =
        FromScalar(entry, *type.map_value(), 0);
  }
  Value value;
  for (auto& [name, member] : sorted) value.members.push_back({name, std::move(member)});
  return value;
}

// Fields in the schema's order, which is the order in which people write them.
Value FromMessage(const pb::Message& message) {
  Value value;
  const pb::Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    const bool is_set = field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                                            : reflection.HasField(message, &field);
    if (!is_set) continue;
    Value member;
    if (field.is_map()) {
      member = FromMap(message, field);
    } else if (field.is_repeated()) {
      member.kind = Value::Kind::kList;
      for (int item = 0; item < reflection.FieldSize(message, &field); ++item) {
        member.members.push_back({"", FromScalar(message, field, item)});
      }
    } else {
      member = FromScalar(message, field, 0);
    }
    value.members.push_back({field.json_name(), std::move(member)});
  }
  // The short form, where there is no fallback to say.
  if (type.full_name() == "whence.v1.UpstreamSource" && value.members.size() == 1 &&
      value.members[0].name == "source") {
    return value.members[0].value;
  }
  return value;
}

Value FromDocument(const v1::Document& document) {
  Value value;
  value.members.push_back({"apiVersion", Text(document.api_version())});
  value.members.push_back({"kind", Text(document.kind())});
  value.members.push_back({"metadata", FromMessage(document.metadata())});
  const pb::Reflection& reflection = *document.GetReflection();
  const auto* spec = reflection.GetOneofFieldDescriptor(
      document, document.GetDescriptor()->FindOneofByName("spec"));
  if (document.has_ip_set() && document.ip_set().has_packed()) {
    v1::IpSetSpec written = document.ip_set();
    Expand(&written);
    value.members.push_back({"spec", FromMessage(written)});
  } else if (spec != nullptr) {
    value.members.push_back({"spec", FromMessage(reflection.GetMessage(document, spec))});
  }
  return value;
}

// JSON's escapes are YAML's too. Control characters of any sort are escaped: what is printed may
// have come from elsewhere and ends on a terminal.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

// Quoted unless it is surely read back as the same text, by us and by stricter readers: YAML 1.1
// takes "on" and "no" for booleans and "1:30" for a number.
std::string YamlText(std::string_view text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  bool plain = !text.empty() && text.find_first_not_of(kSafe) == std::string_view::npos &&
               text.front() != '-' && text.front() != '.' && TypeOfPlain(text) == PlainType::kText;
  const bool has_letter =
      text.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") !=
      std::string_view::npos;
  const bool has_slash = text.find('/') != std::string_view::npos;  // 10.0.0.0/8
  for (const std::string_view word : {"y", "n", "yes", "no", "on"}) {
    plain = plain && !EqualsIgnoreCase(text, word);
  }
  // Dates are timestamps to some readers; our own constants OFF is the one exception for beauty.
  return plain && (has_letter || has_slash) && !(text[0] >= '0' && text[0] <= '9' && !has_slash)
             ? std::string(text)
             : Quote(text);
}

void AppendYaml(const Value& value, int indent, std::string* out);

// What follows "name:" or "-".
void AppendYamlMember(const Value& value, int indent, std::string* out) {
  switch (value.kind) {
    case Value::Kind::kText:
      absl::StrAppend(out, " ", YamlText(value.text), "\n");
      return;
    case Value::Kind::kLiteral:
      absl::StrAppend(out, " ", value.text, "\n");
      return;
    case Value::Kind::kList:
    case Value::Kind::kMapping:
      if (value.members.empty()) {
        absl::StrAppend(out, value.kind == Value::Kind::kList ? " []\n" : " {}\n");
        return;
      }
      out->push_back('\n');
      AppendYaml(value, indent, out);
  }
}

void AppendYaml(const Value& value, int indent, std::string* out) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  for (const auto& [name, member] : value.members) {
    if (value.kind == Value::Kind::kMapping) {
      absl::StrAppend(out, margin, YamlText(name), ":");
      // A list may stand under its name without more margin, as kubectl prints it.
      AppendYamlMember(member, member.kind == Value::Kind::kList ? indent : indent + 2, out);
      continue;
    }
    absl::StrAppend(out, margin, "-");
    if (member.kind == Value::Kind::kMapping && !member.members.empty()) {
      // The first field stands behind the dash: "- from:".
      std::string block;
      AppendYaml(member, indent + 2, &block);
      absl::StrAppend(out, " ", block.substr(static_cast<size_t>(indent) + 2));
    } else {
      AppendYamlMember(member, indent + 2, out);
    }
  }
}

void AppendJson(const Value& value, int indent, std::string* out) {
  if (value.kind == Value::Kind::kText) {
    *out += Quote(value.text);
    return;
  }
  if (value.kind == Value::Kind::kLiteral) {
    *out += value.text;
    return;
  }
  const bool is_list = value.kind == Value::Kind::kList;
  if (value.members.empty()) {
    *out += is_list ? "[]" : "{}";
    return;
  }
  const std::string margin(static_cast<size_t>(indent) + 2, ' ');
  *out += is_list ? "[\n" : "{\n";
  for (size_t i = 0; i < value.members.size(); ++i) {
    *out += margin;
    if (!is_list) absl::StrAppend(out, Quote(value.members[i].name), ": ");
    AppendJson(value.members[i].value, indent + 2, out);
    *out += i + 1 < value.members.size() ? ",\n" : "\n";
  }
  out->append(static_cast<size_t>(indent), ' ');
  *out += is_list ? "]" : "}";
}

}  // namespace

std::string ToYaml(const v1::Document& document) {
  std::string out;
  AppendYaml(FromDocument(document), 0, &out);
  return out;
}

std::string ToJson(const v1::Document& document) {
  std::string out;
  AppendJson(FromDocument(document), 0, &out);
  out += "\n";
  return out;
}

}  // namespace whence::document
