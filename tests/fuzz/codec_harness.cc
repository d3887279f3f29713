#include "tests/fuzz/codec_harness.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "common/trust/forwarding.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/os/socket.h"
#include "dataplane/proxy/downstream.h"
#include "dataplane/proxy/exchange.h"
#include "tests/fuzz/codec_check.h"

namespace whence::fuzz {
namespace {

using namespace proxy;

constexpr uint16_t kPort = 80;
constexpr int kQuietRounds = 8;
constexpr int kMostRounds = 20'000;
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// One for the whole process: ports are scarce.
int Listener() {
  static const os::UniqueFd listener =
      *os::Listen(*net::SocketAddress::Parse("127.0.0.1:0"), {.reuse_port = false});
  return listener.get();
}

std::shared_ptr<const snapshot::Snapshot> MakeSnapshot() {
  auto made = std::make_shared<snapshot::Snapshot>();
  made->topology = trust::DefaultTopology(trust::Role::kGateway);
  made->policies = *policy::PolicySet::Compile({}, nullptr);
  made->clusters.push_back({"origin", {{*os::LocalAddress(Listener()), "fuzz/origin"}}});
  snapshot::Listener listener;
  listener.port = kPort;
  listener.protocol = snapshot::Protocol::kHttp;
  // OPTIONS * has a path of its own.
  listener.virtual_hosts = snapshot::VirtualHosts({{{"*"}, {snapshot::Route{}}}});
  made->listeners.push_back(std::move(listener));
  return made;
}

// Everything that a worker has, without its thread.
class Bench final : public DownstreamOwner {
 public:
  Bench()
      : tuples_(options_.upstream_ports),
        loop_(*loop::EventLoop::Create(clock_)),
        context_{.loop = *loop_,
                 .options = options_,
                 .counters = counters_,
                 .ring = ring_,
                 .tuples = tuples_,
                 .owner = *this,
                 .buffers = {},
                 .pipes = PipePool(counters_, 2),
                 .connector = Connector(*loop_, options_, tuples_, counters_,
                                        PortSequence(options_.upstream_ports, 1, 0, 1)),
                 .balancer = Balancer(counters_, 1),
                 .pending = PendingRequests(*loop_, quotas_, 0),
                 .pool = UpstreamPool(*loop_, options_.limits, counters_, &context_.pending),
                 .request_ids = RequestIds({1, 2}),
                 .snapshot = nullptr,
                 .heads = {},
                 .forwarding_memory = {},
                 .target_memory = {},
                 .route_memory = {},
                 .spare_exchanges = {},
                 .date = {}} {
    static const auto snapshot = MakeSnapshot();
    context_.snapshot = snapshot;
    context_.balancer.Update(*snapshot);
    quotas_.SetWorkers(1, [](int, const std::shared_ptr<ConnectionQuota>&) {});
    context_.pending.Update(*snapshot);
    context_.forwarding_memory.resize(trust::ForwardingMemory(options_.limits.max_header_bytes));
    context_.target_memory.resize(policy::JudgedTargetMemory(options_.limits.max_header_bytes));
  }

  void Begin(os::UniqueFd fd) {
    const Downstream::Origin origin{{*net::SocketAddress::Parse("198.51.100.7:4000")},
                                    {*net::SocketAddress::Parse("192.0.2.1:80")},
                                    kPort};
    auto downstream = std::make_unique<Downstream>(context_, std::move(fd), origin);
    Downstream& started = *downstream;
    Adopt(std::move(downstream));
    if (!started.Start()) started.Close(true);
  }
  void Adopt(std::unique_ptr<Downstream> connection) override {
    connection->place = connections_.size();
    connections_.push_back(std::move(connection));
  }
  void Forget(Downstream& connection) override {
    auto dead = std::move(connections_[connection.place]);
    connections_.erase(connections_.begin() + static_cast<ptrdiff_t>(dead->place));
    loop_->Retire(std::move(dead));
  }
  size_t connection_count() const override { return connections_.size(); }
  void MakeRoom() override {}
  void CutAll() {
    while (!connections_.empty()) connections_.back()->Cut(access_log::Flag::kDrained);
    context_.pool.Clear();
  }
  loop::EventLoop& loop() { return *loop_; }

 private:
  static DataPlaneOptions Options() {
    DataPlaneOptions options;
    options.role = trust::Role::kGateway;
    options.interception = InterceptionMode::kNone;
    return options;
  }

  const SystemClock clock_;
  const DataPlaneOptions options_ = Options();
  TupleTable tuples_;
  WorkerCounters counters_;
  access_log::Ring ring_{16};
  const std::unique_ptr<loop::EventLoop> loop_;
  QuotaTable quotas_;
  Context context_;
  std::vector<std::unique_ptr<Downstream>> connections_;
};

// The client and the origin: one step in each round.
class Peers final : public loop::EventHandler {
 public:
  Peers(const CodecScript& script, Bench& bench, os::UniqueFd client)
      : script_(script), bench_(bench), client_(std::move(client)) {}

  void OnEvents(uint32_t) override {
    progress_ = false;
    Accept();
    Read();
    if (wait_ > 0) {
      --wait_;
      progress_ = true;
    } else if (step_ < script_.steps.size()) {
      Step(script_.steps[step_++]);
      progress_ = true;
    } else {
      SendClient(SIZE_MAX);
      SendOrigin(SIZE_MAX);
    }
    quiet_ = progress_ ? 0 : quiet_ + 1;
    if (quiet_ == kQuietRounds) bench_.CutAll();
    if (quiet_ >= 2 * kQuietRounds || ++rounds_ > kMostRounds) return bench_.loop().Stop();
    bench_.loop().Schedule(*this);
  }

  std::string_view sent() const { return std::string_view(script_.client).substr(0, client_sent_); }
  const std::string& received() const { return received_; }
  const std::vector<std::string>& upstream() const { return upstream_; }
  bool stuck() const { return rounds_ > kMostRounds; }

 private:
  void Accept() {
    os::Accepted accepted;
    while (os::Accept(Listener(), &accepted) == 0) {
      os::ResetOnClose(accepted.fd.get());  // no TIME_WAIT: ports would run out
      origins_.push_back(std::move(accepted.fd));
      upstream_.emplace_back();
      answered_.push_back(0);
      progress_ = true;
    }
  }
  void Read() {
    if (client_) ReadFrom(client_.get(), received_);
    for (size_t i = 0; i < origins_.size(); ++i) ReadFrom(origins_[i].get(), upstream_[i]);
  }
  void ReadFrom(int fd, std::string& into) {
    char buffer[16384];
    ssize_t n;
    while ((n = ::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
      into.append(buffer, static_cast<size_t>(n));
      progress_ = true;
    }
  }
  void Step(uint8_t step) {
    const size_t amount = step >> 3;
    const size_t bytes = amount == 31 ? SIZE_MAX : amount * amount + 1;
    switch (step & 7) {
      case 0:
      case 1:
        return SendClient(bytes);
      case 2:
      case 3:
        return SendOrigin(bytes);
      case 4:
        wait_ = static_cast<int>(amount);
        return;
      case 5:
        if (client_) ::shutdown(client_.get(), SHUT_WR);
        return;
      case 6:
        if (!origins_.empty()) ::shutdown(origins_.back().get(), SHUT_WR);
        return;
      default:
        if (amount == 31) client_.Reset();
    }
  }
  void SendClient(size_t bytes) {
    if (!client_) return;
    const std::string_view left = std::string_view(script_.client).substr(client_sent_, bytes);
    client_sent_ += Send(client_.get(), left);
  }
  void SendOrigin(size_t bytes) {
    if (script_.origin.empty()) return Answer();
    if (origins_.empty()) return;
    const std::string_view left = std::string_view(script_.origin).substr(origin_sent_, bytes);
    origin_sent_ += Send(origins_.back().get(), left);
  }
  void Answer() {
    for (size_t i = 0; i < origins_.size(); ++i) {
      std::string_view left = upstream_[i];
      for (size_t request = 0; !left.empty(); ++request) {
        SeenRequest got;
        if (!TakeStrictRequest(left, &got) || !got.whole) break;
        if (request < answered_[i]) continue;
        ++answered_[i];
        const bool head = got.method == "HEAD";
        Send(origins_[i].get(), kAnswer.substr(0, kAnswer.size() - (head ? 2 : 0)));
      }
    }
  }
  size_t Send(int fd, std::string_view bytes) {
    if (bytes.empty()) return 0;
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) return 0;
    progress_ = true;
    return static_cast<size_t>(n);
  }

  const CodecScript& script_;
  Bench& bench_;
  os::UniqueFd client_;
  std::vector<os::UniqueFd> origins_;
  std::vector<std::string> upstream_;  // what each origin connection got
  std::vector<size_t> answered_;       // requests on each
  std::string received_;
  size_t client_sent_ = 0, origin_sent_ = 0, step_ = 0;
  int wait_ = 0, quiet_ = 0, rounds_ = 0;
  bool progress_ = false;
};

}  // namespace

CodecScript CodecScript::FromBytes(const uint8_t* data, size_t size) {
  CodecScript script;
  const uint8_t* const end = data + size;
  const uint8_t* const first = std::find(data, end, 0xff);
  script.client.assign(data, first);
  if (first == end) return script;
  const uint8_t* const second = std::find(first + 1, end, 0xff);
  script.origin.assign(first + 1, second);
  if (second != end) script.steps.assign(second + 1, std::min(end, second + 1 + 200));
  return script;
}

CodecRun RunCodec(const CodecScript& script) {
  Bench bench;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return {};
  Peers peers(script, bench, os::UniqueFd(pair[0]));
  bench.loop().Schedule(peers);
  bench.Begin(os::UniqueFd(pair[1]));
  bench.loop().Run();
  bench.CutAll();
  CodecRun run;
  if (peers.stuck()) {
    run.fault = "it does not come to rest";
    return run;
  }
  const std::vector<SeenRequest> asked = ClientRequests(peers.sent());
  const bool may_switch = script.origin.find(" 101") != std::string::npos;
  run.fault = CheckUpstream(asked, peers.upstream(), may_switch, &run.upstream_requests);
  run.upstream = peers.upstream();
  if (run.fault.empty()) run.fault = CheckResponses(asked, peers.received(), &run.responses);
  return run;
}

}  // namespace whence::fuzz
