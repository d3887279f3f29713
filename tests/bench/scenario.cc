#include "tests/bench/scenario.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/bench/cpu.h"
#include "tests/bench/load.h"

namespace whence::bench {
namespace {

using Values = absl::StatusOr<std::vector<double>>;

// A round warms up before it counts: connections open, caches fill, the core's clock rises.
constexpr double kWarmUp = 0.25;
// Until whatever a proxy gives back when it is idle is given back.
constexpr std::chrono::seconds kSettle{3};

std::chrono::nanoseconds Nanoseconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

struct Work {
  LoadResult load;
  double cpu_ns = 0;
};

absl::StatusOr<Work> RunLoad(const Peer& peer, const Settings& settings, Load& load) {
  if (auto warm = load.Run(Nanoseconds(settings.seconds * kWarmUp)); !warm.ok()) {
    return warm.status();
  }
  auto cpu = [&] {
    const uint64_t own = peer.proxy == nullptr ? 0 : ProcessCpu(peer.proxy->pid());
    return own + KsoftirqdCpu(settings.cores.proxy);
  };
  const uint64_t before = cpu();
  auto result = load.Run(Nanoseconds(settings.seconds * (1 - kWarmUp)));
  const uint64_t after = cpu();
  if (!result.ok()) return result.status();
  const std::string seen = load.SeenPeer();
  if (!seen.empty() && seen != peer.pod.client_address) {
    return absl::FailedPreconditionError("the application saw " + seen);
  }
  return Work{*std::move(result), static_cast<double>(after - before)};
}

// Rate, CPU per unit, p50, p99.
Values Requests(const Peer& peer, const Settings& settings, Load& load) {
  auto work = RunLoad(peer, settings, load);
  if (!work.ok()) return work.status();
  const auto units = static_cast<double>(work->load.units);
  return std::vector<double>{units / std::chrono::duration<double>(work->load.elapsed).count(),
                             work->cpu_ns / 1000 / units,
                             static_cast<double>(work->load.Percentile(0.5)),
                             static_cast<double>(work->load.Percentile(0.99))};
}

Values Stream(const Peer& peer, const Settings& settings, int streams, Carrier carrier) {
  auto load = OpenStreamLoad(peer.pod, streams, carrier);
  if (!load.ok()) return load.status();
  auto work = RunLoad(peer, settings, **load);
  if (!work.ok()) return work.status();
  const auto bytes = static_cast<double>(work->load.units);
  return std::vector<double>{
      bytes / 1e9 / std::chrono::duration<double>(work->load.elapsed).count(),
      work->cpu_ns / bytes};  // ns per byte are seconds per GB
}

Values KeepAlive(const Peer& peer, const Settings& settings) {
  auto load = OpenKeepAliveLoad(peer.pod, settings.connections, settings.fields, settings.rate);
  return load.ok() ? Requests(peer, settings, **load) : load.status();
}

constexpr int kConnectsAtATime = 16;

template <Asking kAsking>
Values Connections(const Peer& peer, const Settings& settings) {
  return Requests(peer, settings,
                  *MakeConnectLoad(peer.pod, kConnectsAtATime, kAsking, settings.fields));
}

template <int kStreams, Carrier kCarrier>
Values Streams(const Peer& peer, const Settings& settings) {
  return Stream(peer, settings, kStreams, kCarrier);
}

// Idle RSS, then what a connection with one answered request behind it adds.
Values Memory(const Peer& peer, const Settings& settings) {
  if (peer.proxy == nullptr) return std::vector<double>{0, 0};
  std::this_thread::sleep_for(kSettle);
  {
    // Code that serving needs is no connection's memory, and may have left since the last request.
    auto one = OpenKeepAliveLoad(peer.pod, 1);
    if (!one.ok()) return one.status();
    if (auto asked = (*one)->Run(Nanoseconds(0.01)); !asked.ok()) return asked.status();
  }
  const uint64_t idle = ResidentKib(peer.proxy->pid());
  auto load = OpenKeepAliveLoad(peer.pod, settings.pairs);
  if (!load.ok()) return load.status();
  if (auto asked = (*load)->Run(Nanoseconds(0.01)); !asked.ok()) return asked.status();
  std::this_thread::sleep_for(kSettle);
  const uint64_t with = ResidentKib(peer.proxy->pid());
  return std::vector<double>{static_cast<double>(idle),
                             static_cast<double>(with - std::min(with, idle)) * 1024 /
                                 static_cast<double>(settings.pairs)};
}

std::vector<Column> PerUnit(const std::string& unit) {
  return {{unit + "s/s", "per_second"},
          {"CPU us/" + unit, "cpu_us", true, 2},
          {"p50 us", "p50_us"},
          {"p99 us", "p99_us", true}};
}

std::vector<Column> PerGb() {
  return {{"GB/s", "gb_per_second", false, 2}, {"CPU s/GB", "cpu_s_per_gb", true, 3}};
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
  static const std::vector<std::string> http = {"haproxy", "haproxy-log", "nginx",
                                                "envoy",   "whence",      "whence-log"};
  static const std::vector<std::string> bulk = {"haproxy-splice", "haproxy", "nginx", "envoy",
                                                "whence-log"};
  static const std::vector<Scenario> scenarios = {
      {"memory",
       "resident when idle, and per idle keep-alive connection pair",
       {{"idle RSS KiB", "idle_kib", true}, {"bytes/pair", "bytes_per_pair", true}},
       "haproxy",
       {"haproxy", "nginx", "envoy", "whence", "whence-control"},
       Memory,
       1},
      {"keepalive", "HTTP/1.1 requests on kept connections", PerUnit("request"), "haproxy", http,
       KeepAlive},
      {"connections", "a connection per HTTP request, a new upstream for each",
       PerUnit("connection"), "haproxy", http, Connections<Asking::kHttpAndClose>},
      {"reuse", "a connection per HTTP request, the upstream may be kept", PerUnit("connection"),
       "haproxy", http, Connections<Asking::kHttp>},
      {"bulk", "one HTTP body", PerGb(), "haproxy-splice", bulk, Streams<1, Carrier::kHttp>},
      {"bulk16", "sixteen HTTP bodies", PerGb(), "haproxy-splice", bulk,
       Streams<16, Carrier::kHttp>},
      {"tcp", "a TCP connection, sixteen bytes each way", PerUnit("connection"), "haproxy", http,
       Connections<Asking::kTcp>},
      {"tcp-bulk", "one TCP stream", PerGb(), "haproxy-splice", bulk, Streams<1, Carrier::kTcp>},
      {"tcp-bulk16", "sixteen TCP streams", PerGb(), "haproxy-splice", bulk,
       Streams<16, Carrier::kTcp>},
      {"deny",
       "keepalive, with ranges denied",
       PerUnit("request"),
       "whence",
       {"haproxy", "haproxy-1m", "whence", "whence-1k", "whence-100k", "whence-1m"},
       KeepAlive},
  };
  return scenarios;
}

}  // namespace whence::bench
