// Small files, read and replaced whole. Errors name the call and the path.
#ifndef WHENCE_DATAPLANE_STORAGE_FILE_H_
#define WHENCE_DATAPLANE_STORAGE_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace whence::storage {

// NotFound if there is no such file; ResourceExhausted if it is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// After a crash at any moment the file is the old one or the new one: a temporary file, fsync,
// rename, fsync of the folder.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// Creates the folder, mode 0700, and those above it. Fine if it exists.
absl::Status MakeDirectory(const std::string& path);

// Names of the regular files in a folder, sorted.
absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& directory);

// Fine if there is none.
absl::Status RemoveFile(const std::string& path);

// `text` behind a header that tells a damaged or foreign file: "WHENCE1\n", CRC-32C, length.
std::string Seal(std::string_view bytes);
// DataLoss if the seal is broken.
absl::StatusOr<std::string> Unseal(std::string_view sealed);

}  // namespace whence::storage

#endif  // WHENCE_DATAPLANE_STORAGE_FILE_H_
