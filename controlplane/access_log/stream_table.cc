#include "controlplane/access_log/stream_table.h"

#include <utility>
#include <vector>

namespace whence::access_log {
namespace {

grpc::Status ShuttingDown() { return {grpc::StatusCode::UNAVAILABLE, "shutting down"}; }

}  // namespace

bool StreamTable::HasRoom(grpc::Status* refused) const {
  if (shut_down_) {
    *refused = ShuttingDown();
  } else if (streams_.size() >= max_streams_) {
    *refused = {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many access log streams"};
  } else {
    return true;
  }
  return false;
}

void StreamTable::Remove(uint64_t number) {
  std::shared_ptr<StreamHandle> last;  // Destroyed after the lock is released.
  std::lock_guard lock(mutex_);
  auto it = streams_.find(number);
  if (it == streams_.end()) return;
  last = std::move(it->second);
  streams_.erase(it);
}

void StreamTable::Shutdown() {
  std::vector<std::shared_ptr<StreamHandle>> streams;
  {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
    for (const auto& [number, stream] : streams_) streams.push_back(stream);
  }
  for (const auto& stream : streams) stream->Close(ShuttingDown());
}

}  // namespace whence::access_log
