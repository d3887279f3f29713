// whence-bench-agents: what thousands of agents cost a control plane, and how long a change takes to reach all of them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/agents/control.h"
#include "tests/bench/agents/herd.h"

namespace whence::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  std::string control;
  size_t agents = 5000;
  size_t policies = 100;
  size_t workloads = 500;
  size_t per_connection = 100;
  size_t slow = 0, stopped = 0;
  size_t changes = 5;
  bool restart = false;
  bool everywhere = false;
  double admit = 0;
};

constexpr std::chrono::seconds kLimit(100);

// The one policy that concerns everybody, and changes.
std::string CommonPolicy(size_t number) {
  return "apiVersion: whence.dev/v1\nkind: IpPolicy\n"
         "metadata: {name: everybody, namespace: istio-system}\n"
         "spec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: [198.18." +
         std::to_string(number % 256) + ".0/24]}}]}]}\n";
}

// The others: each for one workload, or all for everybody.
std::string OtherPolicies(const Options& options) {
  std::string text;
  for (size_t i = 1; i < options.policies; ++i) {
    const size_t workload = i % options.workloads;
    const std::string space =
        options.everywhere ? "istio-system" : "space-" + std::to_string(workload % 50);
    const std::string selector = options.everywhere ? ""
                                                    : "selector: {matchLabels: {app: app-" +
                                                          std::to_string(workload) + "}}, ";
    text += "---\napiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: p" +
            std::to_string(i) + ", namespace: " + space + "}\nspec: {" + selector +
            "action: DENY, rules: [{from: [{source: {remoteIpBlocks: [203.0.113." +
            std::to_string(i % 256) + "/32, 192.0.2.0/24]}}], to: [{operation: {paths: [/admin/" +
            std::to_string(i) + "*]}}]}]}\n";
  }
  return text;
}

double Quantile(const Latencies& sorted, double q) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<size_t>(q * last)].count();
}

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        control_(options.control,
                 options.admit > 0
                     ? std::vector<std::string>{"--admit", std::to_string(options.admit)}
                     : std::vector<std::string>{}) {}

  nlohmann::json All() {
    result_["agents"] = options_.agents;
    result_["policies"] = options_.policies;
    result_["connections"] = Connections();
    revision_ = control_.Apply({CommonPolicy(0) + OtherPolicies(options_)});
    Connect();
    Change();
    if (options_.restart) Restart();
    return result_;
  }

 private:
  size_t Connections() const {
    return (options_.agents + options_.per_connection - 1) / options_.per_connection;
  }

  void Connect() {
    const double rss_before = control_.RssKib();
    const double cpu_before = control_.CpuSeconds();
    const Clock::time_point start = Clock::now();
    herd_ = std::make_unique<Herd>(control_.address(), HerdOptions{.agents = options_.agents,
                                                                   .connections = Connections(),
                                                                   .workloads = options_.workloads,
                                                                   .slow = options_.slow,
                                                                   .stopped = options_.stopped});
    herd_->Expect(revision_);
    Answers("first bundles");
    WaitForConnected(options_.agents);
    result_["connect_s"] = Seconds(Clock::now() - start).count();
    result_["connect_cpu_s"] = control_.CpuSeconds() - cpu_before;
    result_["deferred"] = herd_->deferred();
    result_["rss_kib_before"] = rss_before;
    result_["kib_per_agent"] =
        (control_.RssKib() - rss_before) / static_cast<double>(options_.agents);
  }

  void Change() {
    Latencies all;
    double last = 0, apply = 0;
    const double cpu_before = control_.CpuSeconds();
    for (size_t i = 1; i <= options_.changes; ++i) {
      herd_->Expect(revision_ + 1);
      const Clock::time_point start = Clock::now();
      revision_ = control_.Apply({CommonPolicy(i)});
      apply += Seconds(Clock::now() - start).count();
      Answers("a change");
      const Latencies latencies = herd_->latencies();
      all.insert(all.end(), latencies.begin(), latencies.end());
      last = std::max(last, latencies.back().count());
      // The answers were sent; that they have arrived is for the control plane to say.
      WaitForAcknowledged();
    }
    if (options_.changes == 0) return;
    std::sort(all.begin(), all.end());
    const auto changes = static_cast<double>(options_.changes);
    result_["apply_s"] = apply / changes;
    result_["ack_p50_s"] = Quantile(all, 0.5);
    result_["ack_p99_s"] = Quantile(all, 0.99);
    result_["ack_max_s"] = last;
    result_["change_cpu_s"] = (control_.CpuSeconds() - cpu_before) / changes;
    result_["kib_per_agent_after"] = (control_.RssKib() - result_["rss_kib_before"].get<double>()) /
                                     static_cast<double>(options_.agents);
  }

  void Restart() {
    const Clock::time_point start = Clock::now();
    const uint64_t deferred = herd_->deferred();
    control_.KillAndRestart();
    result_["restart_ready_s"] = Seconds(Clock::now() - start).count();
    // Who does not read does not notice.
    WaitForConnected(options_.agents - options_.stopped);
    result_["restart_connected_s"] = Seconds(Clock::now() - start).count();
    WaitForAcknowledged();
    result_["restart_deferred"] = herd_->deferred() - deferred;
    result_["restart_cpu_s"] = control_.CpuSeconds();
    result_["restart_rss_kib"] = control_.RssKib();
    // Slow ones may not have had the last change, and are sent it.
    const double resent = control_.Metric("whence_discovery_resources_sent_total");
    result_["restart_resent"] = resent;
    if (resent < 0 || resent > static_cast<double>(options_.slow)) {
      Fail("after a restart " + std::to_string(resent) +
           " resources were sent that had not changed");
    }
    herd_->Expect(revision_ + 1);
    revision_ = control_.Apply({CommonPolicy(options_.changes + 1)});
    Answers("a change after the restart");
    result_["restart_ack_p99_s"] = Quantile(herd_->latencies(), 0.99);
    WaitForAcknowledged();
  }

  void Answers(const std::string& what) {
    if (herd_->WaitForAnswers(kLimit)) return;
    Fail(what + ": only " + std::to_string(herd_->latencies().size()) + " of " +
         std::to_string(herd_->quick()) + " agents answered, streams broken " +
         std::to_string(herd_->broken()));
  }
  void WaitForConnected(size_t agents) {
    Wait("agents connected", [this, agents] {
      return control_.Metric("whence_discovery_agents") == static_cast<double>(agents);
    });
  }
  void WaitForAcknowledged() {
    Wait("agents acknowledged",
         [this] { return control_.Count(revision_).acknowledged >= herd_->quick(); });
  }
  template <typename Condition>
  void Wait(const std::string& what, Condition condition) {
    const Clock::time_point end = Clock::now() + kLimit;
    while (!condition()) {
      if (Clock::now() > end) Fail("not all " + what);
      usleep(20'000);  // A look costs the control plane something, too.
    }
  }

  const Options options_;
  Control control_;
  std::unique_ptr<Herd> herd_;  // goes before the control plane
  uint64_t revision_ = 0;
  nlohmann::json result_;
};

}  // namespace
}  // namespace whence::bench

int main(int argc, char** argv) {
  whence::bench::Options options;
  CLI::App app("Thousands of agents at one control plane: memory, and the time a change takes.");
  app.add_option("--control", options.control, "whence-control")->required();
  app.add_option("--agents", options.agents, "How many")->capture_default_str();
  app.add_option("--policies", options.policies,
                 "One for everybody, the others for a workload each")
      ->capture_default_str();
  app.add_flag("--everywhere", options.everywhere, "All policies for everybody");
  app.add_option("--workloads", options.workloads, "Agents are replicas of so many")
      ->capture_default_str();
  app.add_option("--per-connection", options.per_connection, "Streams on one connection")
      ->capture_default_str();
  app.add_option("--changes", options.changes, "Of the policy for everybody")
      ->capture_default_str();
  app.add_option("--slow", options.slow, "Agents that answer half a second late");
  app.add_option("--stopped", options.stopped, "Agents that stop reading after the first response");
  app.add_flag("--restart", options.restart, "Kill and restart the control plane at the end");
  app.add_option("--admit", options.admit, "Streams that may begin in a second; 0: the default");
  CLI11_PARSE(app, argc, argv);
  whence::bench::Run run(options);
  std::printf("%s\n", run.All().dump(2).c_str());
  return 0;
}
