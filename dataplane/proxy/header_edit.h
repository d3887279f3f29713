// A route's changes to the fields of a head that goes on.
#ifndef WHENCE_DATAPLANE_PROXY_HEADER_EDIT_H_
#define WHENCE_DATAPLANE_PROXY_HEADER_EDIT_H_

#include <span>

#include "common/http/field_set.h"
#include "common/http/head_writer.h"
#include "common/snapshot/route_action.h"

namespace whence::proxy {

inline void DropEdited(const snapshot::HeaderEdit& edit, std::span<const http::HeaderField> fields,
                       http::FieldSet* drop) {
  if (edit.drop.empty()) return;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (edit.Drops(fields[i].name)) drop->Add(i);
  }
}

inline void WriteEdited(const snapshot::HeaderEdit& edit, http::HeadWriter* writer) {
  for (const auto& [name, value] : edit.lines) writer->Field(name, value);
}

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_HEADER_EDIT_H_
