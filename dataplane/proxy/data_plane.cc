#include "dataplane/proxy/data_plane.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "dataplane/os/socket.h"
#include "dataplane/proxy/listeners.h"
#include "dataplane/proxy/shared_state.h"
#include "dataplane/proxy/worker.h"

namespace whence::proxy {
namespace {

absl::Status Check(const DataPlaneOptions& options, size_t rings) {
  if (options.workers < 1) return absl::InvalidArgumentError("workers: must be at least 1");
  if (rings != static_cast<size_t>(options.workers)) {
    return absl::InvalidArgumentError("access log: there must be one ring per worker");
  }
  if (options.upstream_ports.low == 0 || options.upstream_ports.low > options.upstream_ports.high) {
    return absl::InvalidArgumentError("upstream ports: the range is empty");
  }
  if (options.role == trust::Role::kSidecar && options.interception == InterceptionMode::kNone) {
    return absl::InvalidArgumentError(
        "interception none: a sidecar serves intercepted connections only; use tproxy or redirect");
  }
  if (options.role != trust::Role::kSidecar &&
      options.interception == InterceptionMode::kRedirect) {
    return absl::InvalidArgumentError(
        "interception redirect: it is for sidecars; a node agent takes tproxy or none");
  }
  return absl::OkStatus();
}

// One socket per worker and address, opened here and handed over: an error stops the whole update
// before any worker has seen it.
absl::Status OpenListeners(const DataPlaneOptions& options, const std::vector<ListenSpec>& specs,
                           std::vector<Worker::Update>* updates) {
  for (const ListenSpec& spec : specs) {
    const os::ListenOptions listen{.transparent = spec.transparent,
                                   .mark = spec.transparent ? options.marks.listener : 0,
                                   .reuse_port = true,
                                   .backlog = static_cast<int>(options.limits.listen_backlog),
                                   .delay_acks = true,
                                   .user_timeout = options.limits.user_timeout};
    for (Worker::Update& update : *updates) {
      auto fd = os::Listen(spec.address, listen);
      if (!fd.ok()) return fd.status();
      update.open.push_back({spec, *std::move(fd)});
    }
  }
  return absl::OkStatus();
}

std::vector<ListenSpec> Difference(const std::vector<ListenSpec>& from,
                                   const std::vector<ListenSpec>& without) {
  std::vector<ListenSpec> left;
  std::set_difference(from.begin(), from.end(), without.begin(), without.end(),
                      std::back_inserter(left));
  return left;
}

}  // namespace

DataPlane::DataPlane(const DataPlaneOptions& options)
    : options_(options),
      has_ipv6_(os::IsFamilySupported(/*v4=*/false)),
      shared_(std::make_unique<SharedState>(options.upstream_ports)) {}

DataPlane::~DataPlane() { Stop(); }

absl::StatusOr<std::unique_ptr<DataPlane>> DataPlane::Start(
    const DataPlaneOptions& options, std::shared_ptr<const snapshot::Snapshot> first,
    std::span<access_log::Ring* const> rings) {
  if (absl::Status status = Check(options, rings.size()); !status.ok()) return status;
  auto plane = std::unique_ptr<DataPlane>(new DataPlane(options));
  for (int i = 0; i < options.workers; ++i) {
    auto worker = Worker::Create(i, plane->options_, *plane->shared_, *rings[i]);
    if (!worker.ok()) return worker.status();
    plane->workers_.push_back(*std::move(worker));
  }
  plane->shared_->make_room = [&workers = plane->workers_] {
    for (const auto& worker : workers) worker->CloseKept();
  };
  plane->shared_->quotas.SetWorkers(options.workers,
                                    [&workers = plane->workers_](int worker, auto quota) {
                                      workers[static_cast<size_t>(worker)]->Wake(quota);
                                    });
  if (absl::Status status = plane->Publish(std::move(first)); !status.ok()) return status;
  return plane;
}

absl::Status DataPlane::Publish(std::shared_ptr<const snapshot::Snapshot> next) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return absl::FailedPreconditionError("the data plane has stopped");
  std::vector<ListenSpec> wanted = PlanListeners(options_, *next, has_ipv6_);
  std::vector<Worker::Update> updates(workers_.size());
  absl::Status opened = OpenListeners(options_, Difference(wanted, listening_), &updates);
  if (!opened.ok()) return opened;
  const std::vector<ListenSpec> close = Difference(listening_, wanted);
  const bool is_first = current_ == nullptr;
  for (size_t i = 0; i < workers_.size(); ++i) {
    updates[i].snapshot = next;
    updates[i].close = close;
    if (is_first) {
      workers_[i]->Start(std::move(updates[i]));
    } else {
      workers_[i]->Apply(std::move(updates[i]));
    }
  }
  listening_ = std::move(wanted);
  current_ = std::move(next);
  return absl::OkStatus();
}

std::shared_ptr<const snapshot::Snapshot> DataPlane::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void DataPlane::Drain(std::chrono::milliseconds deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    for (auto& worker : workers_) worker->BeginDrain(deadline);
  }
  // Without the lock: meanwhile others may ask what is current, or publish.
  if (shared_->open.WaitForNone(std::chrono::steady_clock::now() + deadline)) return;
  for (auto& worker : workers_) worker->CutAll(access_log::Flag::kDrained);
}

void DataPlane::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& worker : workers_) worker->Stop();
}

Counters DataPlane::Collect() const {
  Counters sum;
  for (const auto& worker : workers_) worker->AddTo(sum);
  return sum;
}

}  // namespace whence::proxy
