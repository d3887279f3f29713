#include "controlplane/etcd/live_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::etcd {
namespace {

constexpr std::chrono::seconds kAskEvery(1);
constexpr std::chrono::seconds kSilence(3);
constexpr std::chrono::milliseconds kPause(300);  // before another member is tried

}  // namespace

LiveWatch::LiveWatch(Client& client, const Clock& clock, const log::Logger& logger,
                     Listener listener)
    : client_(client),
      clock_(clock),
      logger_(logger),
      listener_(std::move(listener)),
      prefix_(client.Key("")) {}

void LiveWatch::Start() {
  watching_ = std::thread([this] { Run(); });
  pulsing_ = std::thread([this] { Pulse(); });
}

void LiveWatch::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    if (context_) context_->TryCancel();
    changed_.notify_all();
  }
  if (watching_.joinable()) watching_.join();
  if (pulsing_.joinable()) pulsing_.join();
}

void LiveWatch::Heard() {
  std::lock_guard lock(mutex_);
  heard_ = clock_.SteadyNow();
  trouble_.clear();
}

absl::Status LiveWatch::Health() const {
  std::lock_guard lock(mutex_);
  const auto silent = clock_.SteadyNow() - heard_;
  if (trouble_.empty() && silent <= kSilence + kAskEvery) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "etcd was last heard ", std::chrono::duration_cast<std::chrono::seconds>(silent).count(),
      " s ago, changes of other replicas are not known here: ",
      trouble_.empty() ? "no answer" : trouble_));
}

// `end` empty: the key alone.
absl::Status LiveWatch::Read(const std::string& key, const std::string& end,
                             std::map<std::string, int64_t>* now,
                             std::vector<LiveChange>* changes) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  request.set_range_end(end);
  absl::StatusOr<etcdserverpb::RangeResponse> found = client_.Range(request);
  if (!found.ok()) return found.status();
  for (mvccpb::KeyValue& kv : *found->mutable_kvs()) {
    (*now)[kv.key()] = kv.mod_revision();
    auto before = known_.find(kv.key());
    if (before != known_.end() && before->second == kv.mod_revision()) continue;
    changes->push_back(
        {kv.key().substr(prefix_.size()), std::move(*kv.mutable_value()), kv.mod_revision()});
  }
  // Of two reads the earlier: what happens between them is told twice rather than never.
  if (next_revision_ == 0) next_revision_ = found->header().revision() + 1;
  return absl::OkStatus();
}

absl::Status LiveWatch::ReadAll() {
  std::vector<LiveChange> changes;
  std::map<std::string, int64_t> now;
  next_revision_ = 0;
  const std::string live = client_.Key("live/");
  for (const auto& [key, end] :
       {std::pair(live, EndOf(live)), std::pair(client_.Key(kHandoverSecretKey), std::string())}) {
    if (absl::Status status = Read(key, end, &now, &changes); !status.ok()) return status;
  }
  for (const auto& [key, revision] : known_) {
    if (now.count(key) == 0) changes.push_back({key.substr(prefix_.size()), std::nullopt, 0});
  }
  known_ = std::move(now);
  Heard();
  if (!changes.empty()) listener_(changes);
  return absl::OkStatus();
}

bool LiveWatch::Take(const etcdserverpb::WatchResponse& response) {
  if (response.canceled()) return false;
  std::vector<LiveChange> changes;
  for (const mvccpb::Event& event : response.events()) {
    const mvccpb::KeyValue& kv = event.kv();
    LiveChange& change = changes.emplace_back(
        LiveChange{kv.key().substr(prefix_.size()), std::nullopt, kv.mod_revision()});
    if (event.type() == mvccpb::Event::PUT) {
      change.value = kv.value();
      known_[kv.key()] = kv.mod_revision();
    } else {
      known_.erase(kv.key());
    }
  }
  if (!changes.empty()) listener_(changes);
  return true;
}

absl::Status LiveWatch::Follow() {
  grpc::ClientContext context;
  // etcd then ends the stream of a member that has lost the others.
  context.AddMetadata("hasleader", "true");
  auto stub = client_.WatchStub();
  auto stream = stub->Watch(&context);
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key(client_.Key("live/"));
  request.mutable_create_request()->set_range_end(EndOf(client_.Key("live/")));
  request.mutable_create_request()->set_start_revision(next_revision_);
  bool good = stream->Write(request);
  request.mutable_create_request()->set_key(client_.Key(kHandoverSecretKey));
  request.mutable_create_request()->clear_range_end();
  good = good && stream->Write(request);
  {
    std::lock_guard lock(mutex_);
    context_ = &context;
    stream_ = stream.get();
    if (is_stopping_) context.TryCancel();
  }
  etcdserverpb::WatchResponse response;
  std::string why;
  while (good && stream->Read(&response)) {
    Heard();
    good = Take(response);
    if (!good) why = response.cancel_reason();
  }
  {
    std::lock_guard lock(mutex_);
    context_ = nullptr;
    stream_ = nullptr;
  }
  context.TryCancel();
  const grpc::Status status = stream->Finish();
  return absl::UnavailableError(why.empty() ? status.error_message() : why);
}

void LiveWatch::Run() {
  bool is_read = true;  // before Start
  while (true) {
    absl::Status status = is_read ? Follow() : ReadAll();
    is_read = !is_read && status.ok();
    if (status.ok()) continue;
    std::unique_lock lock(mutex_);
    if (is_stopping_) return;
    if (trouble_.empty()) {
      logger_.Warning("etcd's watch broke", {{"why", std::string(status.message())}});
    }
    trouble_ = std::string(status.message());
    breaks_.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    client_.Next();
    lock.lock();
    if (changed_.wait_for(lock, kPause, [this] { return is_stopping_; })) return;
  }
}

void LiveWatch::Pulse() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kAskEvery, [this] { return is_stopping_; })) {
    if (!stream_) continue;
    if (clock_.SteadyNow() - heard_ > kSilence) {
      context_->TryCancel();
      continue;
    }
    etcdserverpb::WatchRequest request;
    request.mutable_progress_request();
    // With the lock held, so that the stream is there; a message this small waits for nobody.
    stream_->Write(request);
  }
}

}  // namespace whence::etcd
