#include "controlplane/access_log/log_service.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "controlplane/access_log/log_top.h"

namespace whence::access_log {
namespace {

constexpr size_t kMaxQueries = 64;
constexpr int kThreads = 2;
constexpr size_t kPageRows = 2048;
constexpr uint64_t kDefaultLimit = 100;
constexpr uint64_t kMaxLimit = 1000000;
constexpr std::chrono::seconds kCountDeadline(60);

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(ToStd(status.message())));
}

struct QueryPlan {
  bool onwards = false;  // in the order of arrival
  bool follow = false;   // and on, as more arrive
  bool progress = false;
  uint64_t limit = 0;
  int64_t after = 0;                                   // onwards: from behind this id
  int64_t last = std::numeric_limits<int64_t>::max();  // to this one
};

// One query. Alternates between a page being read (on the service's threads) and its rows being
// written, never both, so that one flag, `busy_`, says that somebody has the next step in hand.
class QueryStream final : public grpc::ServerWriteReactor<v1::LogRow>,
                          public QueryHandle,
                          public std::enable_shared_from_this<QueryStream> {
 public:
  QueryStream(LogServiceImpl& service, uint64_t number, std::unique_ptr<LogReader> reader,
              const QueryPlan& plan)
      : service_(service),
        number_(number),
        reader_(std::move(reader)),
        plan_(plan),
        left_(plan.limit),
        after_(plan.after) {}

  // Once.
  void Start() {
    // Tells a follower's client that it is heard: what is committed from here on will be sent.
    if (plan_.follow) StartSendInitialMetadata();
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
  void AddProgress();
  // The next step after a page or a row. REQUIRES: the caller has `busy_`.
  void Advance();

  LogServiceImpl& service_;
  const uint64_t number_;
  const std::unique_ptr<LogReader> reader_;  // whoever has `busy_`
  const QueryPlan plan_;
  // Whoever has `busy_`:
  uint64_t left_;  // counts records, not progress
  int64_t after_;  // onwards: the client has been told of everything up to here
  LogPage page_;
  size_t next_row_ = 0;

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
  absl::StatusOr<LogPage> page =
      plan_.onwards ? reader_->After(want, plan_.last, &after_) : reader_->NextPage(want);
  if (page.ok()) {
    page_ = *std::move(page);
    left_ -= page_.rows.size();
    AddProgress();
  } else {
    const bool late = page.status().code() == absl::StatusCode::kCancelled;
    Close(late ? grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                              "a page takes too long: ask for a shorter time, or for less")
               : ToGrpc(page.status()));
    page_ = {.at_end = true};
  }
  next_row_ = 0;
  Advance();
}

void QueryStream::AddProgress() {
  if (!plan_.progress || !plan_.onwards || plan_.last <= plan_.after) return;
  v1::LogRow row;
  row.set_progress(std::min(1.0, static_cast<double>(after_ - plan_.after) /
                                     static_cast<double>(plan_.last - plan_.after)));
  page_.rows.push_back(std::move(row));
}

void QueryStream::Advance() {
  bool finish = false;
  bool fetch = false;
  {
    std::lock_guard lock(mutex_);
    bool has_row = next_row_ < page_.rows.size();
    if (!closing_ && !has_row && (left_ == 0 || (page_.at_end && !plan_.follow))) {
      closing_ = true;
      final_status_ = grpc::Status::OK;
    }
    if (closing_) {
      finish = true;  // We keep `busy_`: nobody else takes a step after this.
    } else if (!has_row) {
      fetch = !page_.at_end || committed_;
      busy_ = fetch;
      if (!fetch) return;
    }
  }
  if (finish) {
    Finish(final_status_);
  } else if (fetch) {
    Fetch();
  } else {
    // No buffer hint: gRPC 1.51 sometimes completes such a write only when more is written.
    StartWrite(&page_.rows[next_row_++]);
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
    if (!plan_.follow || busy_ || closing_) return;
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
    reader_->Interrupt();  // Nobody waits for what is being read.
    if (busy_) return;     // Whoever has the next step finishes.
    busy_ = true;
  }
  Finish(final_status_);
}

// One count. A client that goes away ends it.
class TopCall final : public grpc::ServerUnaryReactor {
 public:
  // `query` and `response` are the RPC's.
  void Start(LogServiceImpl& service, const std::string& path, const v1::TopQuery& query,
             v1::TopResponse* response) {
    service.Schedule([this, path, &query, response] {
      absl::StatusOr<v1::TopResponse> top =
          CountTop(path, query, std::chrono::steady_clock::now() + kCountDeadline, cancelled_);
      if (top.ok()) *response = *std::move(top);
      Finish(ToGrpc(top.status()));  // May destroy *this.
    });
  }
  void OnCancel() override { cancelled_.store(true); }
  void OnDone() override { delete this; }

 private:
  std::atomic<bool> cancelled_{false};
};

class RefusedQuery final : public grpc::ServerWriteReactor<v1::LogRow> {
 public:
  explicit RefusedQuery(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

// Before the query is in the service's table: what is committed from now on is not missed. With a
// time to begin at, a follower reads all rows by their ids, old and new alike: no gap, no
// repetition.
absl::StatusOr<QueryPlan> PlanQuery(const v1::LogQuery& query, LogReader& reader) {
  QueryPlan plan{.onwards = query.follow() || query.oldest_first(),
                 .follow = query.follow(),
                 .progress = query.progress(),
                 .limit = query.limit()};
  if (plan.limit == 0) plan.limit = plan.onwards ? UINT64_MAX : kDefaultLimit;
  if (!plan.onwards) {
    plan.limit = std::min(plan.limit, kMaxLimit);
    return plan;
  }
  absl::StatusOr<std::pair<int64_t, int64_t>> extent = reader.Extent();
  if (!extent.ok()) return extent.status();
  const bool from_now = query.follow() && query.since_us() <= 0;
  plan.after = from_now ? extent->second : extent->first - 1;
  if (!query.follow()) plan.last = extent->second;
  return plan;
}

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
  absl::StatusOr<QueryPlan> plan = PlanQuery(*query, **reader);
  if (!plan.ok()) return new RefusedQuery(ToGrpc(plan.status()));
  std::shared_ptr<QueryStream> stream;
  {
    std::lock_guard lock(mutex_);
    if (shut_down_ || queries_.size() >= kMaxQueries) {
      return new RefusedQuery(
          shut_down_ ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down")
                     : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many log queries"));
    }
    uint64_t number = next_query_++;
    stream = std::make_shared<QueryStream>(*this, number, *std::move(reader), *plan);
    queries_[number] = stream;
  }
  stream->Start();
  return stream.get();
}

grpc::ServerUnaryReactor* LogServiceImpl::Top(grpc::CallbackServerContext*,
                                              const v1::TopQuery* query,
                                              v1::TopResponse* response) {
  auto* call = new TopCall();
  call->Start(*this, store_.path(), *query, response);
  return call;
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
