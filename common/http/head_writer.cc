#include "common/http/head_writer.h"

namespace whence::http {
namespace {

const char* EndOf(std::string_view text) { return text.data() + text.size(); }

// Received as exactly "name: value".
bool IsNormal(const HeaderField& field) {
  return field.value.data() == EndOf(field.name) + 2 && field.name.data() != nullptr &&
         EndOf(field.name)[1] == ' ';
}

// Nothing but CR LF lies between them: no blanks behind the first value.
bool Adjoin(const HeaderField& first, const HeaderField& second) {
  return second.name.data() == EndOf(first.value) + 2;
}

}  // namespace

void HeadWriter::Fields(std::span<const HeaderField> fields, const FieldSet& drop) {
  size_t i = 0;
  while (i < fields.size()) {
    if (drop.Contains(i)) {
      ++i;
      continue;
    }
    if (!IsNormal(fields[i])) {
      Field(fields[i].name, fields[i].value);
      ++i;
      continue;
    }
    const char* begin = fields[i].name.data();
    const char* end = EndOf(fields[i].value);
    while (++i < fields.size() && !drop.Contains(i) && IsNormal(fields[i]) &&
           Adjoin(fields[i - 1], fields[i])) {
      end = EndOf(fields[i].value);
    }
    Raw({begin, static_cast<size_t>(end - begin)});
    Raw("\r\n");
  }
}

}  // namespace whence::http
