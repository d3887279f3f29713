// whence-bench-http: what a keep-alive HTTP/1.1 request costs in each transparent proxy, side by
// side.
//
// All proxies are up at once, each in a pod of its own, pinned to the same core; load and
// applications share another. Rounds go from proxy to proxy, so that whatever else the machine does
// hits all of them. What to trust is CPU per request and its ratio within a round; requests per
// second and latencies are shown, not judged.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/http/cpu.h"
#include "tests/bench/http/launch.h"
#include "tests/bench/http/load.h"
#include "tests/bench/http/origin.h"
#include "tests/bench/http/peers.h"
#include "tests/bench/http/report.h"
#include "tests/lab/lab.h"

namespace whence::bench {
namespace {

struct Options {
  std::vector<std::string> proxies = {"haproxy", "nginx", "nginx-keepalive", "whence"};
  int connections = 64;
  size_t body_bytes = 1024;
  double seconds = 60;
  int rounds = 5;
  Cores cores;
  std::string format = "table";
};

// A round warms up before it counts: connections open, caches fill, the core's clock rises.
constexpr double kWarmUp = 0.25;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "whence-bench-http: %s\n", std::string(status.message()).c_str());
  return 1;
}

absl::StatusOr<Round> Measure(const Peer& peer, const Options& options, double seconds, Row* row) {
  auto load = Load::Open(peer.pod, options.connections);
  if (!load.ok()) return load.status();
  using Seconds = std::chrono::duration<double>;
  auto as_nanoseconds = [](double s) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Seconds(s));
  };
  if (auto warm = (*load)->Run(as_nanoseconds(seconds * kWarmUp)); !warm.ok()) return warm.status();
  auto cpu = [&] {
    const uint64_t own = peer.proxy == nullptr ? 0 : ProcessCpu(peer.proxy->pid());
    return own + KsoftirqdCpu(options.cores.proxy);
  };
  const uint64_t before = cpu();
  auto result = (*load)->Run(as_nanoseconds(seconds * (1 - kWarmUp)));
  const uint64_t after = cpu();
  if (!result.ok()) return result.status();

  auto seen = (*load)->SeenPeer();
  if (!seen.ok()) return seen.status();
  if (*seen != peer.pod.client_address) row->remark = "WRONG: the application saw " + *seen;
  if (peer.proxy != nullptr) row->resident_kib = ResidentKib(peer.proxy->pid());
  const auto requests = static_cast<double>(result->requests);
  return Round{requests / Seconds(result->elapsed).count(),
               static_cast<double>(after - before) / 1000 / requests,
               static_cast<double>(result->Percentile(0.5)),
               static_cast<double>(result->Percentile(0.99))};
}

int RunBenchmark(const Options& options) {
  if (absl::Status s = lab::CanRun(); !s.ok()) return Fail(s);
  if (CoreCount() < 2) std::fprintf(stderr, "one core only: proxy and load share it\n");
  auto lab = lab::Lab::Create(lab::Lab::UniqueName("bench"));
  if (!lab.ok()) return Fail(lab.status());

  std::vector<Peer> peers;
  std::vector<Row> rows;
  for (const std::string& name : options.proxies) {
    auto peer = StartPeer(**lab, name, static_cast<int>(peers.size()) + 1, options.cores,
                          options.body_bytes);
    if (!peer.ok()) {
      std::fprintf(stderr, "whence-bench-http: left out: %s\n",
                   std::string(peer.status().message()).c_str());
      continue;
    }
    peers.push_back(std::move(*peer));
    rows.push_back({.name = name});
  }
  if (peers.empty()) return 1;
  if (!PinToCore(options.cores.load)) {
    return Fail(absl::InvalidArgumentError("--load-core: no such core"));
  }
  const double seconds = options.seconds / options.rounds / static_cast<double>(peers.size());
  bool good = true;
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < peers.size(); ++i) {
      auto measured = Measure(peers[i], options, seconds, &rows[i]);
      if (!measured.ok()) {
        rows[i].remark = "FAILED: " + std::string(measured.status().message());
        good = false;
        continue;
      }
      rows[i].rounds.push_back(*measured);
    }
  }
  const std::string text =
      options.format == "json" ? Json(rows, "haproxy") : Table(rows, "haproxy");
  std::fputs(text.c_str(), stdout);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace whence::bench

int main(int argc, char** argv) {
  using namespace whence::bench;
  CLI::App app("CPU per keep-alive HTTP/1.1 request of transparent proxies, side by side.");
  app.footer(
      "Examples:\n"
      "  whence-bench-http                               about a minute, everything that is built\n"
      "  whence-bench-http --proxies haproxy,whence --seconds 20 -o json\n"
      "Needs root; works in network namespaces of its own and removes them on any exit.");
  app.set_version_flag("--version", WHENCE_VERSION);
  Options options;
  app.add_option("--proxies", options.proxies,
                 "haproxy, nginx, nginx-keepalive (shares upstreams between clients), whence, "
                 "whence-log (with an access log file), direct")
      ->delimiter(',')
      ->check(CLI::IsMember(PeerNames()));
  app.add_option("--seconds", options.seconds, "time for all rounds together")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "rounds per proxy")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--connections", options.connections, "keep-alive connections")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--body-bytes", options.body_bytes, "size of an answer")
      ->check(CLI::Range(0, 32768))
      ->capture_default_str();
  app.add_option("--proxy-core", options.cores.proxy, "core of the proxies")->capture_default_str();
  app.add_option("--load-core", options.cores.load, "core of load and applications")
      ->capture_default_str();
  app.add_option("-o", options.format, "output")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();

  LaunchSpec launch;
  CLI::App* launch_app = app.add_subcommand("launch")->group("");
  launch_app->add_option("--core", launch.core);
  launch_app->add_flag("--listener", launch.listener);
  launch_app->add_option("command", launch.command);
  CLI::App* origin_app = app.add_subcommand("origin")->group("");
  origin_app->add_option("--body-bytes", options.body_bytes);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*launch_app) return Launch(launch);
  if (*origin_app) return RunOrigin(kApplicationPort, options.body_bytes);
  return RunBenchmark(options);
}
