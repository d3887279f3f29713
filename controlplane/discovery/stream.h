// One discovery stream: gRPC's callbacks on one side, subscriptions on the other.
//
// Lifetime: owned by the service's table until gRPC says OnDone; the cache's thread may hold it a
// little longer, which is harmless, since a finished stream starts no operation. gRPC forbids any
// operation after Finish, hence the one rule here: who is about to start one says so under the lock
// (`writing_`, `starting_`), and the last of those who were at it calls Finish.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_STREAM_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_STREAM_H_

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/discovery/admission.h"
#include "controlplane/discovery/discovery_service.h"
#include "controlplane/discovery/protocol.h"
#include "controlplane/rpc/message.h"

namespace whence::discovery {

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(ToStd(status.message())));
}

template <typename Protocol>
class Stream final : public RawStream,
                     public StreamHandle,
                     public std::enable_shared_from_this<Stream<Protocol>> {
 public:
  using Request = typename Protocol::Request;
  using Subscription = typename Protocol::Subscription;

  Stream(DiscoveryService& service, uint64_t number, grpc::CallbackServerContext& context)
      : service_(service),
        number_(number),
        context_(context),
        peer_(security::PeerOf(context.auth_context().get())),
        certificate_(security::CertificateOf(context.auth_context().get())),
        address_(context.peer()),
        types_{{{kBundleType, "WorkloadBundle",
                 Subscription(absl::StrCat(number, "b-"), service.options().limits)},
                {kIpSetType, "IpSetResource",
                 Subscription(absl::StrCat(number, "s-"), service.options().limits)}}},
        requests_(service.options().requests_per_second, service.options().requests_burst) {}

  // Once, after construction: the first read may complete at once.
  void Start() { this->StartRead(&request_); }

  void Pump() override;
  void Close(const grpc::Status& status) override;
  std::optional<SteadyTime> WaitingSince() override;
  void CloseIfStuck() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  struct Type {
    const char* url;
    const char* short_name;
    Subscription subscription;
    std::optional<SteadyTime> waiting_since;
  };

  // Both: non-OK ends the stream. REQUIRES: mutex_ held; Join gives it up for a moment.
  absl::Status Join(const Request& request, std::unique_lock<std::mutex>& lock);
  absl::Status Take(const Request& request);
  // True: response_ is to be written. REQUIRES: mutex_ held.
  bool Fill(const std::shared_ptr<const ResourceState>& newest);
  // Of `absent`, those that are there, but for others: the client is told, and so is the operator.
  std::vector<std::string> Forbidden(const ResourceState& state, bool of_bundles,
                                     const std::vector<std::string>& absent);
  absl::Status CheckIdentity(const Agent& agent);
  // What connection and certificate say of the agent.
  v1::AgentProof Proof() const;
  void Refuse(const std::string& reason);
  Progress Observe();
  // REQUIRES: mutex_ held.
  std::optional<SteadyTime> OldestWait() const;
  bool IsSettled() const;
  // True, once: nothing of ours is being started any more, the caller calls Finish.
  bool TakeFinish();

  DiscoveryService& service_;
  const uint64_t number_;
  grpc::CallbackServerContext& context_;  // until OnDone
  const security::Peer peer_;
  const std::optional<security::CertificateInfo> certificate_;
  const std::string address_;
  grpc::ByteBuffer request_;   // the read's while one is on its way, ours between
  grpc::ByteBuffer response_;  // the write's while writing_

  std::mutex mutex_;
  // By mutex_:
  std::array<Type, 2> types_;  // in the order in which they are sent
  Admission requests_;         // besides answers
  std::string id_;             // empty: the first request has not come yet
  bool never_all_ = false;     // see DeltaRequest
  Inventory::Session session_;
  bool writing_ = false;
  int starting_ = 0;  // read callbacks that may still start an operation
  bool closing_ = false;
  bool finished_ = false;
  bool farewell_ = false;  // the client has ended its side
  bool cancelled_ = false;
  grpc::Status final_status_;
  // The state that the bundle is of while its answer is awaited. Its sets come from there too: the
  // agent answers when it has just them, and no set of a later revision may get into its hands.
  std::shared_ptr<const ResourceState> awaited_;
  uint64_t sent_revision_ = 0;
  uint64_t acked_revision_ = 0;
  int forbidden_recorded_ = 0;
};

template <typename Protocol>
void Stream<Protocol>::OnReadDone(bool ok) {
  absl::Status status;
  Request request;
  if (ok)
    status = rpc::ReadMessage(request_, service_.options().limits.max_request_bytes, &request);
  request_.Clear();
  {
    std::unique_lock lock(mutex_);
    // After our own Finish the read fails as well; that is no farewell of the client's.
    if (!ok) farewell_ = !closing_;
    ++starting_;
    if (ok && !closing_) {
      service_.counters().requests.fetch_add(1, std::memory_order_relaxed);
      if (status.ok() && id_.empty()) status = Join(request, lock);
      if (status.ok()) status = Take(request);
    }
  }
  if (!status.ok()) {
    service_.counters().streams_refused.fetch_add(1, std::memory_order_relaxed);
    Close(ToGrpc(status));
  } else if (!ok) {
    Close(grpc::Status::OK);
  }
  Pump();
  // No further read on a closed stream: what the client still sends is of no interest.
  bool read_on;
  {
    std::lock_guard lock(mutex_);
    read_on = !closing_;
  }
  if (read_on) this->StartRead(&request_);
  bool finish;
  {
    std::lock_guard lock(mutex_);
    --starting_;
    finish = TakeFinish();
  }
  if (finish) this->Finish(final_status_);
}

template <typename Protocol>
absl::Status Stream<Protocol>::Join(const Request& request, std::unique_lock<std::mutex>& lock) {
  absl::StatusOr<Agent> agent = ReadNode(request.node());
  if (!agent.ok()) return agent.status();
  if (absl::Status status = CheckIdentity(*agent); !status.ok()) return status;
  if (peer_.has_certificate) Believe(Proof(), &*agent);
  if (certificate_) agent->certificate_expires = certificate_->not_after;
  const bool is_proven = agent->workload.unproven_addresses.empty();
  std::string id = agent->id;
  lock.unlock();
  auto weak = this->weak_from_this();
  Inventory::Session session = service_.inventory().Connect(
      *std::move(agent),
      [weak](const absl::Status& reason) {
        if (auto self = weak.lock()) self->Close(ToGrpc(reason));
      },
      [weak] {
        auto self = weak.lock();
        return self ? self->Observe() : Progress{};
      });
  lock.lock();
  id_ = std::move(id);
  session_ = session;
  never_all_ = request.node().user_agent_name().rfind("gRPC", 0) == 0;
  if (peer_.has_certificate) service_.Named(peer_.name);
  for (const net::IpAddress& address : session.disputed) {
    Refuse(absl::StrCat("address ", address.ToString(), " of ", id_,
                        " is another agent's, which proves it"));
  }
  service_.logger().Info(is_proven ? "agent connected" : "agent connected, with unproven addresses",
                         {{"agent", id_}, {"stream", number_}});
  return absl::OkStatus();
}

template <typename Protocol>
v1::AgentProof Stream<Protocol>::Proof() const {
  v1::AgentProof proof;
  std::set<net::IpAddress> addresses;
  if (const auto peer = security::AddressOfPeer(address_)) addresses.insert(*peer);
  if (certificate_) {
    addresses.insert(certificate_->addresses.begin(), certificate_->addresses.end());
    proof.mutable_labels()->insert(certificate_->labels.begin(), certificate_->labels.end());
  }
  for (const net::IpAddress& address : addresses) proof.add_addresses(address.ToString());
  return proof;
}

// The certificate says who it is, and in which role; the node may only repeat it.
template <typename Protocol>
absl::Status Stream<Protocol>::CheckIdentity(const Agent& agent) {
  if (!peer_.has_certificate) return absl::OkStatus();
  const bool is_covered = peer_.identity && peer_.identity->Covers(agent.id);
  if (is_covered && peer_.identity->role == agent.workload.role) return absl::OkStatus();
  const std::string reason =
      is_covered
          ? absl::StrCat("metadata.role is not the one of the certificate, which is of ",
                         peer_.name, ": issue it with whencectl certs issue --role")
          : absl::StrCat("node.id is \"", agent.id, "\", and the certificate is of ", peer_.name);
  Refuse(reason);
  return absl::PermissionDeniedError(reason);
}

template <typename Protocol>
void Stream<Protocol>::Refuse(const std::string& reason) {
  service_.refusals().Record({.peer = peer_.name.empty() ? id_ : peer_.name,
                              .address = address_,
                              .method = Protocol::kMethod,
                              .reason = reason});
}

template <typename Protocol>
std::vector<std::string> Stream<Protocol>::Forbidden(const ResourceState& state, bool of_bundles,
                                                     const std::vector<std::string>& absent) {
  constexpr int kMaxRecorded = 16;  // of one stream: enough to see what it is after
  std::vector<std::string> forbidden;
  for (const std::string& name : absent) {
    // Whether another workload exists is not told: its bundle is forbidden either way.
    bool is_foreign = of_bundles ? name != id_ : state.ip_sets.count(name) > 0;
    if (!is_foreign) continue;
    forbidden.push_back(name);
    if (forbidden_recorded_ >= kMaxRecorded) continue;
    ++forbidden_recorded_;
    Refuse(absl::StrCat("asked for ", of_bundles ? "the bundle of " : "the IpSet ", name,
                        ", which does not concern ", id_));
  }
  return forbidden;
}

template <typename Protocol>
absl::Status Stream<Protocol>::Take(const Request& request) {
  if (request.type_url().empty()) {
    return absl::InvalidArgumentError("type_url is missing in a request of an aggregated stream");
  }
  for (Type& type : types_) {
    if (request.type_url() != type.url) continue;
    uint64_t refusals = type.subscription.refusals();
    auto said = Protocol::Read(request);
    said.when = service_.clock().Now();
    said.never_all = never_all_;
    const bool was_awaiting = type.subscription.awaiting_answer();
    absl::Status status = type.subscription.OnRequest(said);
    if (!status.ok()) return status;
    const bool is_answer = was_awaiting && !type.subscription.awaiting_answer();
    if (!is_answer && !requests_.Admit(service_.clock().SteadyNow())) {
      return absl::ResourceExhaustedError("too many requests on this stream");
    }
    if (!type.subscription.awaiting_answer()) type.waiting_since.reset();
    if (type.subscription.refusals() != refusals) {
      service_.counters().refusals.fetch_add(1, std::memory_order_relaxed);
      service_.logger().Warning(
          "agent refused a resource",
          {{"agent", id_}, {"type", type.short_name}, {"error", request.error_detail().message()}});
    }
    return absl::OkStatus();
  }
  if (!requests_.Admit(service_.clock().SteadyNow())) {
    return absl::ResourceExhaustedError("too many requests on this stream");
  }
  // A client that knows more types than we do is not wrong; it waits for what never comes.
  service_.counters().unknown_types.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

template <typename Protocol>
bool Stream<Protocol>::Fill(const std::shared_ptr<const ResourceState>& newest) {
  if (!types_[0].subscription.awaiting_answer()) awaited_ = nullptr;
  const ResourceState& state = awaited_ ? *awaited_ : *newest;
  auto mine = state.workloads.find(id_);
  // Built before this agent came, or before it was as it is: the next state is on its way.
  if (mine == state.workloads.end() || state.generation < session_.generation) return false;
  const ResourceMap* resources[] = {&mine->second.bundles, &mine->second.ip_sets};
  for (size_t i = 0; i < types_.size(); ++i) {
    Type& type = types_[i];
    bool hold_removals = i > 0 && types_[0].subscription.awaiting_answer();
    auto push = type.subscription.Next(*resources[i], hold_removals);
    if (!push) continue;
    response_ =
        Protocol::Write(*push, type.url, state.revision, Forbidden(state, i == 0, push->absent));
    type.waiting_since = service_.clock().SteadyNow();
    sent_revision_ = state.revision;
    if (i == 0) awaited_ = newest;
    DiscoveryCounters& counters = service_.counters();
    counters.responses.fetch_add(1, std::memory_order_relaxed);
    counters.resources_sent.fetch_add(push->resources.size(), std::memory_order_relaxed);
    counters.resources_removed.fetch_add(Protocol::Removed(*push), std::memory_order_relaxed);
    return true;
  }
  if (IsSettled()) sent_revision_ = acked_revision_ = state.revision;
  return false;
}

// Nothing on its way and nothing refused: the agent runs this state, though perhaps of a revision
// that did not concern it and was never sent.
template <typename Protocol>
bool Stream<Protocol>::IsSettled() const {
  for (const Type& type : types_) {
    if (type.subscription.awaiting_answer()) return false;
    for (const auto& [name, status] : type.subscription.status()) {
      if (status.acked_version != status.sent_version) return false;
    }
  }
  return !types_[0].subscription.status().empty();
}

template <typename Protocol>
Progress Stream<Protocol>::Observe() {
  std::lock_guard lock(mutex_);
  Progress progress;
  const std::shared_ptr<const ResourceState> state = service_.State();
  const WorkloadResources none;
  const WorkloadResources* mine = &none;
  if (state) {
    auto found = state->workloads.find(id_);
    if (found != state->workloads.end()) mine = &found->second;
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const Type& type = types_[i];
    TypeProgress& shown = progress.types.emplace_back(
        TypeProgress{.type_url = type.url, .short_name = type.short_name});
    shown.resources = type.subscription.status();
    for (const auto& [name, resource] : i == 0 ? mine->bundles : mine->ip_sets) {
      if (type.subscription.Wants(name)) shown.current.emplace(name, resource);
    }
    for (const std::string& name : type.subscription.names()) {
      if (shown.current.count(name) == 0) shown.absent.push_back(name);
    }
  }
  progress.waiting_since = OldestWait();
  progress.sent_revision = sent_revision_;
  progress.acked_revision = acked_revision_;
  return progress;
}

template <typename Protocol>
std::optional<SteadyTime> Stream<Protocol>::OldestWait() const {
  std::optional<SteadyTime> oldest;
  for (const Type& type : types_) {
    if (type.waiting_since && (!oldest || *type.waiting_since < *oldest)) {
      oldest = type.waiting_since;
    }
  }
  return oldest;
}

template <typename Protocol>
std::optional<SteadyTime> Stream<Protocol>::WaitingSince() {
  std::lock_guard lock(mutex_);
  return OldestWait();
}

template <typename Protocol>
void Stream<Protocol>::CloseIfStuck() {
  bool is_writing;
  {
    std::lock_guard lock(mutex_);
    const std::optional<SteadyTime> since = OldestWait();
    if (closing_ || !since ||
        service_.clock().SteadyNow() - *since < service_.options().answer_limit) {
      return;
    }
    is_writing = writing_;
    closing_ = true;
    final_status_ = grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                                 "a response was not answered for too long");
    ++starting_;  // No OnDone before this is through: it takes the context away.
  }
  // What the client does not read never ends by itself.
  if (is_writing) context_.TryCancel();
  bool finish;
  {
    std::lock_guard lock(mutex_);
    --starting_;
    finish = TakeFinish();
  }
  if (finish) this->Finish(final_status_);
}

template <typename Protocol>
void Stream<Protocol>::Pump() {
  {
    std::lock_guard lock(mutex_);
    // Read under the lock: states only get newer, so whoever fills later fills from a newer one,
    // and a thread that was held up in between cannot push an old state over a new one. The cache
    // never calls us with its own lock held.
    std::shared_ptr<const ResourceState> state = service_.State();
    if (!state || id_.empty() || closing_) return;
    if (writing_ || !Fill(state)) return;
    writing_ = true;
  }
  this->StartWrite(&response_);
}

template <typename Protocol>
void Stream<Protocol>::OnWriteDone(bool ok) {
  bool finish;
  {
    std::lock_guard lock(mutex_);
    response_.Clear();
    writing_ = false;
    if (!ok && !closing_) {
      closing_ = true;
      final_status_ = grpc::Status(grpc::StatusCode::CANCELLED, "the stream broke");
    }
    finish = TakeFinish();
  }
  if (finish) {
    this->Finish(final_status_);
  } else {
    Pump();
  }
}

template <typename Protocol>
void Stream<Protocol>::Close(const grpc::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    final_status_ = status;
    if (!TakeFinish()) return;
  }
  this->Finish(final_status_);
}

template <typename Protocol>
bool Stream<Protocol>::TakeFinish() {
  if (!closing_ || writing_ || starting_ > 0 || finished_) return false;
  finished_ = true;
  return true;
}

template <typename Protocol>
void Stream<Protocol>::OnCancel() {
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  Close(grpc::Status::CANCELLED);
}

template <typename Protocol>
void Stream<Protocol>::OnDone() {
  bool farewell;
  {
    std::lock_guard lock(mutex_);
    farewell = farewell_ && !cancelled_;
  }
  if (id_.empty() && peer_.has_certificate) service_.Named(peer_.name);
  if (!id_.empty()) {
    service_.inventory().Disconnect(session_.id, farewell);
    service_.logger().Info(farewell ? "agent left" : "agent disconnected",
                           {{"agent", id_}, {"stream", number_}});
  }
  service_.Remove(number_);  // May destroy *this.
}

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_STREAM_H_
