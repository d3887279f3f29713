// One worker: a thread with its loop, its listeners and its connections.
//
// A connection is accepted by a Listener, becomes a Downstream, gets a Session by what its first
// bytes are, and ends in Forget: all on this thread. What ends is destroyed at the end of the
// loop's round, since other events of the round, and callers up the stack, may still refer to it.
#ifndef WHENCE_DATAPLANE_PROXY_WORKER_H_
#define WHENCE_DATAPLANE_PROXY_WORKER_H_

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/proxy/context.h"
#include "dataplane/proxy/downstream.h"
#include "dataplane/proxy/listener.h"
#include "dataplane/proxy/listeners.h"
#include "dataplane/proxy/shared_state.h"

namespace whence::proxy {

// Public functions: safe from any thread, but for those of DownstreamOwner.
class Worker final : public DownstreamOwner {
 public:
  struct Opened {
    ListenSpec spec;
    os::UniqueFd fd;
  };
  // What changes with a snapshot, as one task.
  struct Update {
    std::shared_ptr<const snapshot::Snapshot> snapshot;
    std::vector<Opened> open;
    std::vector<ListenSpec> close;
  };

  // All references outlive the worker.
  static absl::StatusOr<std::unique_ptr<Worker>> Create(int index, const DataPlaneOptions& options,
                                                        SharedState& shared,
                                                        access_log::Ring& ring);
  ~Worker();

  void Start(Update first);
  void Apply(Update update);
  // No new connections; every response asks for the end of its connection, and those that stay idle
  // are ended, all within `deadline` if clients do their part.
  void BeginDrain(std::chrono::milliseconds deadline);
  // Ends all connections; each leaves its record.
  void CutAll(access_log::Flag reason);
  // Closes the upstream connections that nobody uses.
  void CloseKept();
  // A place of `quota` may be free.
  void Wake(const std::shared_ptr<ConnectionQuota>& quota);
  // Cuts what is left and joins the thread. Idempotent.
  void Stop();
  void AddTo(Counters& sum) const { counters_.AddTo(sum); }

  void Adopt(std::unique_ptr<Downstream> connection) override;
  void Forget(Downstream& connection) override;
  size_t connection_count() const override { return connections_.size(); }
  void MakeRoom() override { shared_.make_room(); }

 private:
  Worker(int index, const DataPlaneOptions& options, SharedState& shared, access_log::Ring& ring,
         std::unique_ptr<loop::EventLoop> loop);

  void ApplyHere(Update& update);
  // A policy that lets in may end without a new snapshot: what it let in is judged again then.
  void WatchExpiry();
  void OnExpiry();
  void EndAccepting();
  void CloseListeners(const std::vector<ListenSpec>& specs);
  void CutHere(access_log::Flag reason);
  // Gives back the memory that the last second did not need.
  void Trim();

  SharedState& shared_;
  WorkerCounters counters_;
  const std::unique_ptr<loop::EventLoop> loop_;
  loop::Timer drain_accept_;
  loop::Timer expiry_;
  std::optional<WallTime> next_expiry_;
  loop::Timer trim_;
  Context context_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Downstream>> connections_;  // in no order
  std::thread thread_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_WORKER_H_
