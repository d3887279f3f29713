// The open streams of one service: bounded in number, ended together when the server goes.
//
// A stream is owned by the table until gRPC is done with it; whoever else keeps it (a batch that
// waits for its commit) may outlive that.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_STREAM_TABLE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_STREAM_TABLE_H_

#include <grpcpp/support/status.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace whence::access_log {

// One stream as its service sees it.
class StreamHandle {
 public:
  virtual ~StreamHandle() = default;
  // Ends the stream with `status`, unless it is ending already.
  virtual void Close(const grpc::Status& status) = 0;
};

// Thread-safe.
class StreamTable {
 public:
  explicit StreamTable(size_t max_streams) : max_streams_(max_streams) {}

  // Keeps the stream that `make` gives for the number it is handed; that number removes it. Null:
  // there is no room, or the server is going; `*refused` says so.
  template <typename Make>
  auto Add(const Make& make, grpc::Status* refused) -> decltype(make(uint64_t{})) {
    std::lock_guard lock(mutex_);
    if (!HasRoom(refused)) return nullptr;
    const uint64_t number = next_number_++;
    auto stream = make(number);
    streams_[number] = stream;
    return stream;
  }
  // From a stream's OnDone. May destroy the stream.
  void Remove(uint64_t number);
  // Ends all streams and takes no more.
  void Shutdown();

 private:
  bool HasRoom(grpc::Status* refused) const;  // REQUIRES: mutex_ held.

  const size_t max_streams_;
  std::mutex mutex_;
  // By mutex_:
  std::map<uint64_t, std::shared_ptr<StreamHandle>> streams_;
  uint64_t next_number_ = 1;
  bool shut_down_ = false;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_STREAM_TABLE_H_
