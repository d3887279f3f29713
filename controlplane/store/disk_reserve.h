// Space that is kept for the moment when there is none.
//
// On a full disk SQLite can neither append to its write-ahead log nor move the log into the file
// (which would have to grow), so it cannot even delete: dropping old records to make room needs
// room. A file of some megabytes that holds nothing is given up then, and taken again when it can
// be.
#ifndef WHENCE_CONTROLPLANE_STORE_DISK_RESERVE_H_
#define WHENCE_CONTROLPLANE_STORE_DISK_RESERVE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace whence::store {

// What the disk has free for us where the file `path` is or would be. None: it cannot be known.
std::optional<int64_t> FreeBytesAt(const std::string& path);

// The file that is kept for the database `path`.
inline std::string ReserveOf(const std::string& path) { return path + ".reserve"; }

// Thread-compatible.
class DiskReserve {
 public:
  // A file of that name from an earlier run is taken over; else nothing is held yet.
  DiskReserve(std::string path, int64_t bytes);
  DiskReserve(const DiskReserve&) = delete;
  DiskReserve& operator=(const DiskReserve&) = delete;

  // Takes the space, if it is not held. False: there is not enough, and nothing is held any more.
  bool Take();
  // Takes as much of it as there is. False: there is nothing.
  bool TakeWhatThereIs();
  // Gives the space back to whoever writes next.
  void Release();
  // The same, if there is too little to open a database in.
  void ReleaseToOpen();

  int64_t bytes() const { return bytes_; }
  int64_t held_bytes() const { return held_bytes_; }

 private:
  bool TakeBytes(int64_t bytes);

  const std::string path_;
  const int64_t bytes_;
  int64_t held_bytes_ = 0;
};

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_DISK_RESERVE_H_
