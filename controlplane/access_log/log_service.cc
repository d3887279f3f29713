#include "controlplane/access_log/log_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/strings.h"

namespace whence::access_log {
namespace {

constexpr size_t kMaxQueries = 64;
constexpr int kThreads = 2;
constexpr size_t kPageRows = 2048;
constexpr uint64_t kDefaultLimit = 100;
constexpr uint64_t kMaxLimit = 1000000;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(ToStd(status.message())));
}

// One query. Alternates between a page being read (on the service's threads) and its rows being
// written, never both, so that one flag, `busy_`, says that somebody has the next step in hand.
class QueryStream final : public grpc::ServerWriteReactor<v1::LogRow>,
                          public QueryHandle,
                          public std::enable_shared_from_this<QueryStream> {
 public:
  QueryStream(LogServiceImpl& service, uint64_t number, std::unique_ptr<LogReader> reader,
              bool follow, uint64_t limit)
      : service_(service),
        number_(number),
        reader_(std::move(reader)),
        follow_(follow),
        left_(limit) {}

  // Once. `from`: for a follower, the id after which it is told.
  void Start(int64_t from) {
    last_id_ = from;
    // Tells a follower's client that it is heard: what is committed from here on will be sent.
    if (follow_) StartSendInitialMetadata();
    Fetch();
  }

  void OnCommit() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Close(grpc::Status::CANCELLED); }
  void OnDone() override { service_.Remove(number_); }  // May destroy *this.
  void Close(const grpc::Status& status) override;

 private:
  void Fetch() {
    service_.Schedule([self = shared_from_this()] { self->ReadRows(); });
  }
  void ReadRows();  // on a thread of the service
  // The next step after a page or a row. REQUIRES: the caller has `busy_`.
  void Advance();

  LogServiceImpl& service_;
  const uint64_t number_;
  const std::unique_ptr<LogReader> reader_;  // whoever has `busy_`
  const bool follow_;
  // Whoever has `busy_`:
  uint64_t left_;
  int64_t last_id_ = 0;  // a follower has been told of everything up to here
  std::vector<v1::LogRow> page_;
  size_t next_row_ = 0;
  bool at_end_ = false;  // the last page had nothing

  std::mutex mutex_;
  // By mutex_:
  bool busy_ = true;        // false: a follower that waits for a commit
  bool committed_ = false;  // since the last page was begun
  bool closing_ = false;
  grpc::Status final_status_;
};

void QueryStream::ReadRows() {
  {
    std::lock_guard lock(mutex_);
    committed_ = false;
  }
  size_t want = static_cast<size_t>(std::min<uint64_t>(left_, kPageRows));
  absl::StatusOr<std::vector<v1::LogRow>> page =
      follow_ ? reader_->After(want, &last_id_) : reader_->NextPage(want);
  if (!page.ok()) {
    Close(ToGrpc(page.status()));
    page_.clear();
  } else {
    page_ = *std::move(page);
  }
  next_row_ = 0;
  at_end_ = page_.empty();
  Advance();
}

void QueryStream::Advance() {
  bool finish = false;
  bool fetch = false;
  {
    std::lock_guard lock(mutex_);
    bool has_row = next_row_ < page_.size();
    if (!closing_ && !has_row && (left_ == 0 || (at_end_ && !follow_))) {
      closing_ = true;
      final_status_ = grpc::Status::OK;
    }
    if (closing_) {
      finish = true;  // We keep `busy_`: nobody else takes a step after this.
    } else if (!has_row) {
      fetch = !at_end_ || committed_;
      busy_ = fetch;
      if (!fetch) return;
    }
  }
  if (finish) {
    Finish(final_status_);
  } else if (fetch) {
    Fetch();
  } else {
    --left_;
    StartWrite(&page_[next_row_++]);
  }
}

void QueryStream::OnWriteDone(bool ok) {
  if (!ok) Close(grpc::Status::CANCELLED);
  Advance();
}

void QueryStream::OnCommit() {
  {
    std::lock_guard lock(mutex_);
    committed_ = true;
    if (!follow_ || busy_ || closing_) return;
    busy_ = true;
  }
  Fetch();
}

void QueryStream::Close(const grpc::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    final_status_ = status;
    if (busy_) return;  // Whoever has the next step finishes.
    busy_ = true;
  }
  Finish(final_status_);
}

class RefusedQuery final : public grpc::ServerWriteReactor<v1::LogRow> {
 public:
  explicit RefusedQuery(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

LogServiceImpl::LogServiceImpl(AccessLogStore& store) : store_(store) {
  listener_ = store_.AddListener([this] {
    for (const auto& query : Queries()) query->OnCommit();
  });
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
}

LogServiceImpl::~LogServiceImpl() {
  store_.RemoveListener(listener_);
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

grpc::ServerWriteReactor<v1::LogRow>* LogServiceImpl::Query(grpc::CallbackServerContext*,
                                                            const v1::LogQuery* query) {
  absl::StatusOr<LogFilter> filter = ReadLogQuery(*query);
  if (!filter.ok()) return new RefusedQuery(ToGrpc(filter.status()));
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(store_.path(), *filter);
  if (!reader.ok()) return new RefusedQuery(ToGrpc(reader.status()));
  uint64_t limit = query->limit();
  if (limit == 0) limit = query->follow() ? UINT64_MAX : kDefaultLimit;
  if (!query->follow()) limit = std::min(limit, kMaxLimit);
  // Before the query is in the table: what is committed from now on is not missed. With a time to
  // begin at, a follower reads all rows by their ids, old and new alike: no gap, no repetition.
  int64_t from = 0;
  if (query->follow() && query->since_us() <= 0) {
    absl::StatusOr<int64_t> newest = (*reader)->NewestId();
    if (!newest.ok()) return new RefusedQuery(ToGrpc(newest.status()));
    from = *newest;
  }
  std::shared_ptr<QueryStream> stream;
  {
    std::lock_guard lock(mutex_);
    if (shut_down_ || queries_.size() >= kMaxQueries) {
      return new RefusedQuery(
          shut_down_ ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down")
                     : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many log queries"));
    }
    uint64_t number = next_query_++;
    stream =
        std::make_shared<QueryStream>(*this, number, *std::move(reader), query->follow(), limit);
    queries_[number] = stream;
  }
  stream->Start(from);
  return stream.get();
}

void LogServiceImpl::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
  }
  for (const auto& query : Queries()) {
    query->Close(grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down"));
  }
}

std::vector<std::shared_ptr<QueryHandle>> LogServiceImpl::Queries() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<QueryHandle>> queries;
  for (const auto& [number, query] : queries_) queries.push_back(query);
  return queries;
}

void LogServiceImpl::Schedule(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  wake_.notify_one();
}

void LogServiceImpl::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (tasks_.empty()) return;  // What was scheduled is done even when we stop.
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // May be the last to hold a query; not under the lock.
    lock.lock();
  }
}

void LogServiceImpl::Remove(uint64_t number) {
  std::shared_ptr<QueryHandle> last;  // Destroyed after the lock is released.
  std::lock_guard lock(mutex_);
  auto it = queries_.find(number);
  if (it == queries_.end()) return;
  last = std::move(it->second);
  queries_.erase(it);
}

}  // namespace whence::access_log
