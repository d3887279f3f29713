// Space that is kept for the moment when there is none.
//
// On a full disk SQLite can neither append to its write-ahead log nor move the log into the file
// (which would have to grow), so it cannot even delete: dropping old records to make room needs
// room. A file of some megabytes that holds nothing is given up then, and taken again when it can
// be.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_RESERVE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_RESERVE_H_

#include <cstdint>
#include <string>
#include <utility>

namespace whence::access_log {

// Thread-compatible.
class DiskReserve {
 public:
  // A file of that name from an earlier run is taken over. Nothing is held yet.
  DiskReserve(std::string path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  DiskReserve(const DiskReserve&) = delete;
  DiskReserve& operator=(const DiskReserve&) = delete;

  // Takes the space, if it is not held. False: there is not enough.
  bool Take();
  // Gives the space back to whoever writes next.
  void Release();
  bool held() const { return held_; }

 private:
  const std::string path_;
  const int64_t bytes_;
  bool held_ = false;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_RESERVE_H_
