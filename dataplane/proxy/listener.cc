#include "dataplane/proxy/listener.h"

#include <algorithm>
#include <cerrno>

#include "common/trust/resolver.h"
#include "dataplane/os/port_steering.h"
#include "dataplane/proxy/downstream.h"

namespace whence::proxy {
namespace {

// Then the connections that are already open get their turn.
constexpr uint32_t kAcceptsPerRound = 32;
constexpr std::chrono::milliseconds kPause{100};

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Listener::Listener(Context& context, const ListenSpec& spec, os::UniqueFd fd)
    : context_(context),
      spec_(spec),
      fd_(std::move(fd)),
      resume_(
          +[](void* self) { static_cast<Listener*>(self)->Resume(); }, this) {}

bool Listener::Start() { return context_.loop.AddListener(fd_.get(), *this) == 0; }

void Listener::OnSnapshot() {
  if (!spec_.speaking_first || mistrusted_) return;
  if (spec_.inbound) {
    std::vector<uint16_t> ports = PortsSpeakingFirst(*context_.snapshot);
    if (ports == steered_ports_) return;
    const auto workers = static_cast<uint32_t>(context_.options.workers);
    // Where the kernel knows no such program, any listener gets any connection.
    if (os::SteerByPort(fd_.get(), spec_.address.ip.is_v4(), workers, ports) != 0) return;
    steered_ports_ = std::move(ports);
  }
  if (!defers_) defers_ = os::DeferAccept(fd_.get()) == 0;
}

void Listener::MistrustSteering() {
  mistrusted_ = true;
  defers_ = os::AcceptAtOnce(fd_.get()) != 0;
}

void Listener::Close() {
  resume_.Cancel();
  fd_.Reset();
}

void Listener::OnEvents(uint32_t) {
  // An accept() that finds nobody costs more than this question: the kernel makes the socket first.
  const os::AcceptQueue queue = os::AcceptQueueOf(fd_.get());
  if (queue.full()) context_.counters.Add(Counter::kAcceptQueueFull);
  const uint32_t most = std::clamp<uint32_t>(queue.waiting, 1, kAcceptsPerRound);
  for (uint32_t i = 0; i < most && AcceptOne(); ++i) {
  }
}

void Listener::IgnoreNew() {
  // Where that fails (no memory), who comes later is accepted a little longer: no harm.
  if (fd_) os::IgnoreNewConnections(fd_.get());
}

void Listener::AcceptWaiting() {
  for (uint32_t i = 0; i <= context_.options.limits.listen_backlog && AcceptOne(); ++i) {
  }
}

bool Listener::AcceptOne() {
  if (!fd_) return false;
  os::Accepted accepted;
  const int error = os::Accept(fd_.get(), &accepted);
  if (error == 0) {
    Admit(std::move(accepted));
  } else if (IsShortage(error)) {
    Pause();
    return false;
  }
  // Others speak of one connection that is gone already (accept(2), "Error handling").
  return error != EAGAIN;
}

void Listener::Admit(os::Accepted accepted) {
  context_.counters.Add(Counter::kConnectionsAccepted);
  if (context_.owner.connection_count() >= context_.options.limits.max_connections) {
    context_.counters.Add(Counter::kOverLimit);
    os::ResetOnClose(accepted.fd.get());
    return;
  }
  net::OriginalDestination destination;
  if (!FindDestination(accepted, &destination)) return;
  if (defers_ && spec_.inbound &&
      !std::binary_search(steered_ports_.begin(), steered_ports_.end(), destination.address.port)) {
    MistrustSteering();
  }
  const Downstream::Origin origin{
      {accepted.peer}, destination, spec_.inbound ? uint16_t{0} : spec_.address.port};
  auto connection = std::make_unique<Downstream>(context_, std::move(accepted.fd), origin);
  Downstream& started = *connection;
  context_.owner.Adopt(std::move(connection));
  if (!started.Start(defers_)) started.Close(/*reset=*/true);
}

bool Listener::FindDestination(const os::Accepted& accepted, net::OriginalDestination* out) {
  const bool redirected =
      spec_.inbound && context_.options.interception == InterceptionMode::kRedirect;
  const auto local = redirected
                         ? os::OriginalDestination(accepted.fd.get(), accepted.peer.ip.is_v4())
                         : os::LocalAddress(accepted.fd.get());
  if (!local) {
    Refuse(accepted, Counter::kNotIntercepted, access_log::Flag::kLoop, {});
    return false;
  }
  // Without interception the local address is the listener's own: someone connected to it directly,
  // perhaps we ourselves.
  if (IsUnintercepted(context_.options, spec_, *local)) {
    Refuse(accepted, Counter::kLoops, access_log::Flag::kLoop, *local);
    return false;
  }
  out->address = *local;
  return true;
}

void Listener::Refuse(const os::Accepted& accepted, Counter counter, access_log::Flag flag,
                      const net::SocketAddress& destination) {
  context_.counters.Add(counter);
  const net::DirectPeer peer{accepted.peer};
  const trust::Resolution resolution = trust::Resolve(peer, {}, context_.snapshot->topology);
  access_log::Record record;
  record.time_us = context_.loop.wall_now().time_since_epoch().count();
  record.SetDirectPeer(peer);
  record.SetClient(resolution.client);
  record.Set(access_log::Text::kReason, trust::ReasonText(resolution));
  record.SetDestination({destination});
  record.decision = access_log::Decision::kDeny;
  record.Add(flag);
  context_.ring.Begin();
  context_.ring.TryPush(record);
  os::ResetOnClose(accepted.fd.get());
}

void Listener::Pause() {
  context_.counters.Add(Counter::kAcceptPaused);
  context_.connector.CloseKept();  // descriptors
  context_.loop.Remove(fd_.get());
  context_.loop.ArmAfter(resume_, kPause);
}

void Listener::Resume() {
  if (fd_ && !Start()) context_.loop.ArmAfter(resume_, kPause);
}

}  // namespace whence::proxy
