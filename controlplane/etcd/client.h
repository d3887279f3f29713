// Calls to an etcd cluster: with a deadline each, and to another member if one does not answer.
//
// One member is asked at a time, the one that answered last. A member that refuses the connection,
// has no leader, or says nothing within an attempt's time is left for the next; a call as a whole
// fails after its patience (kUnavailable, naming what the last member said; kResourceExhausted:
// etcd is full; kFailedPrecondition: it refuses). So a member that was killed or stopped costs the
// calls of one moment an attempt's time, and nobody anything after that.
//
// A call may therefore be carried out more than once, and one that failed may have been carried
// out: transactions have to be such that a repetition does nothing (compare something that they
// change).
#ifndef WHENCE_CONTROLPLANE_ETCD_CLIENT_H_
#define WHENCE_CONTROLPLANE_ETCD_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/etcd/endpoints.h"
#include "etcd/rpc.grpc.pb.h"

namespace whence::etcd {

struct Patience {
  // etcd itself takes a second or two to elect a leader; a healthy one answers in milliseconds.
  std::chrono::milliseconds attempt = std::chrono::seconds(2);
  std::chrono::milliseconds whole = std::chrono::seconds(7);
};

// Thread-safe. Calls block their thread.
class Client {
 public:
  // Does not connect yet. Errors name the file that cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Make(const Options& options,
                                                      Patience patience = {});

  // Linearizable: what every commit that was answered before has written.
  absl::StatusOr<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request);
  absl::StatusOr<etcdserverpb::TxnResponse> Txn(const etcdserverpb::TxnRequest& request);
  // The id. Unless kept alive, the lease and its keys are gone after `seconds`.
  absl::StatusOr<int64_t> Grant(int64_t seconds);
  // kNotFound: it is over already.
  absl::Status KeepAlive(int64_t lease);
  absl::Status Revoke(int64_t lease);

  // A stream of its own, to be made by the caller: on the member that is asked now.
  std::unique_ptr<etcdserverpb::Watch::Stub> WatchStub();
  // From now on calls fail after an attempt: who stops does not want to wait.
  void Hurry() { is_hurrying_.store(true, std::memory_order_relaxed); }
  // That one did not answer: ask another.
  void Next() { current_.fetch_add(1, std::memory_order_relaxed); }

  // "live/head" -> "/whence/live/head"
  std::string Key(const std::string& name) const { return options_.prefix + name; }
  const Options& options() const { return options_; }
  std::string EndpointsText() const;

 private:
  Client(Options options, Patience patience, std::vector<std::shared_ptr<grpc::Channel>> channels)
      : options_(std::move(options)), patience_(patience), channels_(std::move(channels)) {}
  // Calls `attempt` on one member after the other.
  absl::Status Try(const std::function<grpc::Status(const std::shared_ptr<grpc::Channel>&,
                                                    grpc::ClientContext*)>& attempt);

  const Options options_;
  const Patience patience_;
  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::atomic<size_t> current_{0};  // modulo their number
  std::atomic<bool> is_hurrying_{false};
};

// The value of the key, which is `own` from now on if there was none: all who ask get the same.
absl::StatusOr<std::string> ReadOrWrite(Client& client, const std::string& name,
                                        const std::string& own);

// The smallest key that is greater than every key that begins with `prefix`: a range's end.
std::string EndOf(const std::string& prefix);

// ---- Parts of a transaction ----
void RequireUnchanged(const std::string& key, int64_t mod_revision, etcdserverpb::TxnRequest* txn);
void RequireThere(const std::string& key, etcdserverpb::TxnRequest* txn);
void Put(const std::string& key, const std::string& value, etcdserverpb::TxnRequest* txn,
         int64_t lease = 0);
void Delete(const std::string& key, etcdserverpb::TxnRequest* txn);
void DeleteAllBelow(const std::string& prefix, etcdserverpb::TxnRequest* txn);

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_CLIENT_H_
