// From the SQLite store's rows to values, for its own files.
#ifndef WHENCE_CONTROLPLANE_STORE_SQLITE_ROWS_H_
#define WHENCE_CONTROLPLANE_STORE_SQLITE_ROWS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "controlplane/store/database.h"
#include "controlplane/store/values.h"

namespace whence::store {

// Kind, namespace, name from `column` on.
inline DocumentKey KeyAt(const Statement& row, int column) {
  return {std::string(row.Text(column)), std::string(row.Text(column + 1)),
          std::string(row.Text(column + 2))};
}

inline absl::Status ParseValue(std::string_view bytes, const DocumentKey& key,
                               v1::Document* document) {
  if (document->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("the store's ", Name(key), " cannot be read back"));
}

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_SQLITE_ROWS_H_
