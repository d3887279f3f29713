// whence-soak: an agent at full load, with a new configuration every second, and then a drain under
// that load. Ends with 1 if a request failed, if memory or descriptors grew, or if the agent did not
// end well.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "tests/soak/agent_process.h"
#include "tests/soak/clients.h"
#include "tests/soak/origin.h"

namespace whence::soak {
namespace {

// Allowed over what was reached in the first fifth of the run, by when all pools are filled.
constexpr uint64_t kRssSlackKib = 4 * 1024;
constexpr uint64_t kDescriptorSlack = 32;

struct Settings {
  std::string agent = "build/release/bin/whence-agent";
  int seconds = 300;
  int threads = 4;
  int connections = 64;
  std::string output = "text";
};

struct Result {
  uint64_t requests = 0, denied = 0, failed = 0, changes = 0;
  std::string first_failure;
  std::vector<Footprint> looks;  // one a second
  int exit_status = -1;
};

Result Run(const Settings& settings) {
  Result result;
  Origin origin;
  AgentProcess agent(settings.agent, origin.port());
  if (!agent.AwaitReady()) {
    result.first_failure = "the agent does not listen";
    return result;
  }
  Clients clients(agent.port(), settings.threads, settings.connections / settings.threads);
  auto next = std::chrono::steady_clock::now();
  for (int second = 0; second < settings.seconds; ++second) {
    std::this_thread::sleep_until(next += std::chrono::seconds(1));  // the rhythm of the changes
    agent.Change(++result.changes);
    result.looks.push_back(agent.Look());
  }
  agent.Terminate();
  clients.LetThemEnd();
  result.exit_status = agent.Await();
  result.requests = clients.answered();
  result.denied = clients.denied();
  result.failed = clients.failed();
  result.first_failure = clients.first_failure();
  return result;
}

uint64_t Most(const std::vector<Footprint>& looks, size_t from, size_t to,
              uint64_t Footprint::*field) {
  uint64_t most = 0;
  for (size_t i = from; i < to; ++i) most = std::max(most, looks[i].*field);
  return most;
}

// What is wrong; empty: nothing.
std::string Judge(const Result& result) {
  if (result.failed > 0) {
    return std::to_string(result.failed) + " requests failed; the first: " + result.first_failure;
  }
  if (result.looks.empty()) return result.first_failure;
  if (result.denied == 0) return "no change of the configuration took effect";
  if (result.exit_status != 0) return "exit status " + std::to_string(result.exit_status);
  const size_t all = result.looks.size();
  const size_t warm = std::max<size_t>(all / 5, 1);
  if (Most(result.looks, warm, all, &Footprint::rss_kib) >
      Most(result.looks, 0, warm, &Footprint::rss_kib) + kRssSlackKib) {
    return "memory grew";
  }
  if (Most(result.looks, warm, all, &Footprint::descriptors) >
      Most(result.looks, 0, warm, &Footprint::descriptors) + kDescriptorSlack) {
    return "descriptors grew";
  }
  return "";
}

void Print(const Settings& settings, const Result& result, const std::string& fault) {
  const size_t all = result.looks.size();
  const size_t warm = std::max<size_t>(all / 5, 1);
  const bool any = all > 0;
  const nlohmann::ordered_json report = {
      {"seconds", settings.seconds},
      {"connections", settings.connections},
      {"requests", result.requests + result.denied},
      {"denied", result.denied},
      {"failed", result.failed},
      {"changes", result.changes},
      {"rssKibWarm", any ? Most(result.looks, 0, warm, &Footprint::rss_kib) : 0},
      {"rssKibEnd", any ? result.looks.back().rss_kib : 0},
      {"rssKibMost", Most(result.looks, 0, all, &Footprint::rss_kib)},
      {"descriptorsWarm", any ? Most(result.looks, 0, warm, &Footprint::descriptors) : 0},
      {"descriptorsEnd", any ? result.looks.back().descriptors : 0},
      {"cpuSeconds", any ? result.looks.back().cpu_seconds : 0},
      {"exitStatus", result.exit_status},
      {"fault", fault}};
  if (settings.output == "json") {
    std::printf("%s\n", report.dump().c_str());
    return;
  }
  for (const auto& [name, value] : report.items()) {
    std::printf("%-16s %s\n", name.c_str(), value.dump().c_str());
  }
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("An agent at full load, a new configuration every second, a drain at the end.",
               "whence-soak");
  app.footer("Example:\n  whence-soak --agent build/release/bin/whence-agent --seconds 300");
  app.add_option("--agent", settings.agent, "The whence-agent to run")->capture_default_str();
  app.add_option("--seconds", settings.seconds, "How long")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--threads", settings.threads, "Of clients")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--connections", settings.connections, "Of clients, in all")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("-o,--output", settings.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const Result result = Run(settings);
  const std::string fault = Judge(result);
  Print(settings, result, fault);
  return fault.empty() ? 0 : 1;
}

}  // namespace
}  // namespace whence::soak

int main(int argc, char** argv) { return whence::soak::Main(argc, argv); }
