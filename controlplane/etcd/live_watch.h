// What the replicas tell each other: the keys below live/, as they are and as they change. Besides
// them the hand-over secret, which is not meant to.
//
// First all of them are read, then etcd tells of each change. When that stream breaks, or is silent
// although it is asked for a sign of life every second (a member that is stopped, or cut off from
// the others), it begins again at another member: all are read again, and what differs is told as
// changes. Meanwhile what was known stays.
#ifndef WHENCE_CONTROLPLANE_ETCD_LIVE_WATCH_H_
#define WHENCE_CONTROLPLANE_ETCD_LIVE_WATCH_H_

#include <grpcpp/client_context.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "controlplane/etcd/client.h"
#include "controlplane/log/logger.h"

namespace whence::etcd {

inline constexpr char kHandoverSecretKey[] = "handover-secret";

struct LiveChange {
  std::string name;                  // "live/head"
  std::optional<std::string> value;  // nullopt: deleted, or its lease is over
  int64_t mod_revision = 0;          // etcd's; of a deletion that was only noticed later: 0
};

class LiveWatch {
 public:
  // What changed in one etcd revision comes in one call; of what is read anew, all in one call.
  // Calls are one at a time.
  using Listener = std::function<void(const std::vector<LiveChange>&)>;

  // All must outlive *this.
  LiveWatch(Client& client, const Clock& clock, const log::Logger& logger, Listener listener);
  LiveWatch(const LiveWatch&) = delete;
  LiveWatch& operator=(const LiveWatch&) = delete;
  ~LiveWatch() { Stop(); }

  // Reads all and tells it, on the caller's thread.
  absl::Status ReadAll();
  // Goes on from there, on threads of its own.
  void Start();
  void Stop();

  // OK, or since when nothing is heard, and why. Thread-safe.
  absl::Status Health() const;
  uint64_t breaks() const { return breaks_.load(std::memory_order_relaxed); }

 private:
  using Stream = grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;

  void Run();
  absl::Status Read(const std::string& key, const std::string& end,
                    std::map<std::string, int64_t>* now, std::vector<LiveChange>* changes);
  absl::Status Follow();  // until the stream ends; why it did
  bool Take(const etcdserverpb::WatchResponse& response);
  void Pulse();
  void Heard();

  Client& client_;
  const Clock& clock_;
  const log::Logger& logger_;
  const Listener listener_;
  const std::string prefix_;
  std::atomic<uint64_t> breaks_{0};

  // The watching thread's, before Start the caller's.
  std::map<std::string, int64_t> known_;  // key -> etcd's revision that wrote it
  int64_t next_revision_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // By mutex_:
  bool is_stopping_ = false;
  grpc::ClientContext* context_ = nullptr;  // of the stream that is open
  Stream* stream_ = nullptr;
  SteadyTime heard_{};
  std::string trouble_;  // why the last stream ended, until the next one is heard

  std::thread watching_, pulsing_;  // last: use all of the above
};

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_LIVE_WATCH_H_
