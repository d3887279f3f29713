// Answers questions about access records (LogService).
//
// A follower is told of rows in the order of their arrival: from now on, or, with `since_us`, first
// of those that there are since then. `oldest_first` is the same with an end.
//
// The database is read on two threads of the service's own, page by page, so that a scan holds up
// neither gRPC's threads nor the writer; a page is read when the one before was sent, so a slow
// client costs one page.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_SERVICE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_SERVICE_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/log_reader.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::access_log {

// One query as the service sees it.
class QueryHandle {
 public:
  virtual ~QueryHandle() = default;
  virtual void OnCommit() = 0;
  virtual void Close(const grpc::Status& status) = 0;
};

// Thread-safe. The gRPC server must be shut down before *this is destroyed; the store outlives it.
class LogServiceImpl final : public v1::LogService::CallbackService {
 public:
  explicit LogServiceImpl(AccessLogStore& store);
  ~LogServiceImpl() override;

  grpc::ServerWriteReactor<v1::LogRow>* Query(grpc::CallbackServerContext* context,
                                              const v1::LogQuery* query) override;
  grpc::ServerUnaryReactor* Top(grpc::CallbackServerContext* context, const v1::TopQuery* query,
                                v1::TopResponse* response) override;

  // Ends all queries. Call before the server's Shutdown.
  void Shutdown();

  // ---- For queries ----
  void Schedule(std::function<void()> task);
  void Remove(uint64_t number);

 private:
  std::vector<std::shared_ptr<QueryHandle>> Queries();
  void Work();

  AccessLogStore& store_;
  std::mutex mutex_;
  std::condition_variable wake_;
  // By mutex_:
  std::map<uint64_t, std::shared_ptr<QueryHandle>> queries_;
  std::deque<std::function<void()>> tasks_;
  uint64_t next_query_ = 1;
  bool shut_down_ = false;
  bool stop_ = false;

  uint64_t listener_;
  std::vector<std::thread> threads_;  // last
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_SERVICE_H_
