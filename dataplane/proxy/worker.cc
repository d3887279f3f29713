#include "dataplane/proxy/worker.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "common/trust/forwarding.h"
#include "dataplane/proxy/exchange.h"

namespace whence::proxy {
namespace {

// The loop wakes up so often anyway.
constexpr std::chrono::milliseconds kTrimInterval{1'000};

// Whom the kernel has promised a connection and holds back until it speaks is accepted after a
// second at the latest (os::DeferAccept).
constexpr std::chrono::milliseconds kLongestDeferral{1'250};

// One worker's share.
size_t PipesOf(int workers) {
  constexpr size_t kLeast = 2;
  return std::max(kLeast, PipePool::kMostInAll / static_cast<size_t>(std::max(workers, 1)));
}

// Writing to a connection that is gone is an everyday event, and splice(2) has no MSG_NOSIGNAL.
void BlockSigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

uint64_t Random64(std::random_device& random) { return uint64_t{random()} << 32 | random(); }

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(int index, const DataPlaneOptions& options,
                                                       SharedState& shared,
                                                       access_log::Ring& ring) {
  auto loop = loop::EventLoop::Create(shared.clock);
  if (!loop.ok()) return loop.status();
  return std::unique_ptr<Worker>(new Worker(index, options, shared, ring, *std::move(loop)));
}

Worker::Worker(int index, const DataPlaneOptions& options, SharedState& shared,
               access_log::Ring& ring, std::unique_ptr<loop::EventLoop> loop)
    : shared_(shared),
      loop_(std::move(loop)),
      drain_accept_(
          +[](void* self) { static_cast<Worker*>(self)->EndAccepting(); }, this),
      expiry_(
          +[](void* self) { static_cast<Worker*>(self)->OnExpiry(); }, this),
      trim_(
          +[](void* self) { static_cast<Worker*>(self)->Trim(); }, this),
      context_{.loop = *loop_,
               .options = options,
               .counters = counters_,
               .ring = ring,
               .tuples = shared.tuples,
               .owner = *this,
               .buffers = {},
               .pipes = PipePool(counters_, PipesOf(options.workers)),
               .connector = Connector(
                   *loop_, options, shared.tuples, counters_,
                   PortSequence(options.upstream_ports, static_cast<uint32_t>(options.workers),
                                static_cast<uint32_t>(index), shared.random())),
               .balancer = Balancer(counters_, Random64(shared.random)),
               .pending = PendingRequests(*loop_, shared.quotas, index),
               .pool = UpstreamPool(*loop_, options.limits, counters_, &context_.pending),
               .request_ids = RequestIds({Random64(shared.random), Random64(shared.random)}),
               .snapshot = nullptr,
               .heads = {},
               .forwarding_memory = {},
               .target_memory = {},
               .route_memory = {},
               .spare_exchanges = {},
               .date = {}} {
  context_.forwarding_memory.resize(trust::ForwardingMemory(options.limits.max_header_bytes));
  context_.target_memory.resize(policy::JudgedTargetMemory(options.limits.max_header_bytes));
}

Worker::~Worker() { Stop(); }

void Worker::Start(Update first) {
  context_.snapshot = first.snapshot;  // the thread does not run yet
  Apply(std::move(first));
  loop_->ArmAfter(trim_, kTrimInterval);
  thread_ = std::thread([this] {
    BlockSigpipe();
    loop_->Run();
  });
}

void Worker::Trim() {
  context_.buffers.Trim();
  context_.pipes.Trim();
  context_.spare_exchanges.Trim();
  context_.connector.Trim();
  loop_->ArmAfter(trim_, kTrimInterval);
}

void Worker::Apply(Update update) {
  // std::function wants copies; the update is moved through a shared pointer instead.
  auto shared = std::make_shared<Update>(std::move(update));
  loop_->Post([this, shared] { ApplyHere(*shared); });
}

void Worker::ApplyHere(Update& update) {
  context_.snapshot = std::move(update.snapshot);
  context_.balancer.Update(*context_.snapshot);
  context_.pending.Update(*context_.snapshot);
  counters_.Add(Counter::kSnapshots);
  CloseListeners(update.close);
  if (!context_.draining) {
    for (Opened& opened : update.open) {
      auto listener = std::make_unique<Listener>(context_, opened.spec, std::move(opened.fd));
      listener->Start();
      listeners_.push_back(std::move(listener));
    }
  }
  for (auto& listener : listeners_) listener->OnSnapshot();
  // Backwards: a connection that ends takes the last one's place, which had its turn.
  for (size_t i = connections_.size(); i-- > 0;) connections_[i]->OnSnapshot();
  WatchExpiry();
}

void Worker::WatchExpiry() {
  // Looked at now and then, since the wall clock may be set meanwhile.
  constexpr WallTime::duration kLook = std::chrono::seconds(1);
  const WallTime now = loop_->wall_now();
  next_expiry_ = context_.snapshot->policies->NextEnd(now);
  if (!next_expiry_) return expiry_.Cancel();
  const auto delay = std::min(*next_expiry_ - now, kLook);
  loop_->ArmAfter(expiry_, std::chrono::ceil<std::chrono::milliseconds>(delay));
}

void Worker::OnExpiry() {
  if (next_expiry_ && loop_->wall_now() >= *next_expiry_) {
    for (size_t i = connections_.size(); i-- > 0;) connections_[i]->Rejudge();
  }
  WatchExpiry();
}

void Worker::CloseListeners(const std::vector<ListenSpec>& specs) {
  for (const ListenSpec& spec : specs) {
    const auto at = std::find_if(listeners_.begin(), listeners_.end(),
                                 [&](const auto& listener) { return listener->spec() == spec; });
    if (at == listeners_.end()) continue;
    (*at)->Close();
    loop_->Retire(std::move(*at));
    listeners_.erase(at);
  }
}

void Worker::BeginDrain(std::chrono::milliseconds deadline) {
  shared_.open.Opened();  // for the listeners: the drain waits for them too
  loop_->Post([this, deadline] {
    if (std::exchange(context_.draining, true)) return shared_.open.Closed();
    const Limits& limits = context_.options.limits;
    context_.drain_idle_timeout = std::min(limits.drain_idle_timeout, deadline / 2);
    for (auto& listener : listeners_) {
      listener->IgnoreNew();
      listener->AcceptWaiting();
    }
    const bool defers = std::any_of(listeners_.begin(), listeners_.end(),
                                    [](const auto& listener) { return listener->defers(); });
    loop_->ArmAfter(drain_accept_,
                    std::min(defers ? std::max(limits.drain_accept_time, kLongestDeferral)
                                    : limits.drain_accept_time,
                             deadline / 4));
    for (size_t i = connections_.size(); i-- > 0;) connections_[i]->OnDrain();
    context_.pool.Clear();
  });
}

void Worker::EndAccepting() {
  for (auto& listener : listeners_) {
    listener->AcceptWaiting();  // the kernel has promised them a connection
    listener->Close();
    loop_->Retire(std::move(listener));
  }
  listeners_.clear();
  shared_.open.Closed();
}

void Worker::CutAll(access_log::Flag reason) {
  loop_->Post([this, reason] { CutHere(reason); });
}

void Worker::CloseKept() {
  loop_->Post([this] { context_.pool.Clear(); });
}

void Worker::Wake(const std::shared_ptr<ConnectionQuota>& quota) {
  loop_->Post([this, quota] { context_.pending.OnWake(quota, context_.pool); });
}

void Worker::CutHere(access_log::Flag reason) {
  for (size_t i = connections_.size(); i-- > 0;) connections_[i]->Cut(reason);
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  loop_->Post([this] {
    drain_accept_.Cancel();
    expiry_.Cancel();
    listeners_.clear();  // nothing of this round can name them: posted tasks run last in it
    context_.pool.Clear();
    CutHere(access_log::Flag::kDrained);
    context_.connector.CloseKept();
    loop_->Stop();
  });
  thread_.join();
}

void Worker::Adopt(std::unique_ptr<Downstream> connection) {
  connection->place = connections_.size();
  connections_.push_back(std::move(connection));
  counters_.Add(Counter::kConnectionsActive);
  shared_.open.Opened();
}

void Worker::Forget(Downstream& connection) {
  const size_t place = connection.place;
  std::unique_ptr<Downstream> dead = std::move(connections_[place]);
  if (place + 1 != connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place = place;
  }
  connections_.pop_back();
  loop_->Retire(std::move(dead));
  counters_.Subtract(Counter::kConnectionsActive);
  shared_.open.Closed();
}

}  // namespace whence::proxy
