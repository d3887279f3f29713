// whence-port-stress: one client address, one pod, and far more connections than anybody should
// make. Ends with 1 if one of them hung, was seen with another address, or was refused without need
// or without being counted.
//
//   churn      connections one after the other, several at once, of ports that the kernel picks and
//              of ports out of the very range from which the agent picks its own
//   collide    some connections are held, and the client tries every port of that range: those by
//              which the agent is connected for it are refused at once, all others served
//   exhaust    connections are held until no source port is left: the next are refused at once and
//              counted, or go out from the agent's own address where that is allowed; when the
//              ports are given back, all is as before
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>
#include <vector>

#include "dataplane/intercept/netns.h"
#include "tests/lab/lab.h"
#include "tests/lab/wait.h"
#include "tests/stress/client.h"
#include "tests/stress/pod.h"

namespace whence::stress {
namespace {

using Kind = Answer::Kind;
using Milliseconds = std::chrono::milliseconds;

// Much longer than anything takes here, and shorter than a lost opening packet is sent three times.
constexpr Milliseconds kPatience{5000};
// A refusal has to come at once: before an opening packet would be sent again.
constexpr Milliseconds kAtOnce{900};
constexpr int kThreads = 4;
constexpr uint64_t kEnough = 24;  // refusals in a row, to call it exhausted

struct Settings {
  uint32_t connections = 30'000;
  uint32_t hold = 4'000;
  std::string source_ports = "10240-32767";
  uint16_t low = 0, high = 0;
  uint32_t ports() const { return uint32_t{high} - low + 1; }
};

// Each connection takes two descriptors of the agent's and two of ours, who are both of its ends.
bool MayExhaust(const Settings& settings) {
  rlimit files{};
  return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 2 * settings.ports() + 500;
}

void RaiseFileLimit() {
  const rlimit wanted{100'000, 100'000};
  rlimit files{};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0 || getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

class Stress {
 public:
  Stress(const Settings& settings, Pod& pod) : settings_(settings), pod_(pod) {}

  void Run() {
    Churn();
    const auto inside = intercept::ScopedNetns::Enter(pod_.client_netns());
    if (!inside.ok()) return Fault("no way into the client's namespace");
    Collide();
    if (MayExhaust(settings_)) return Exhaust();
    std::printf(
        "exhaust    not run: so many descriptors are not allowed here; give fewer "
        "--source-ports\n");
  }
  uint64_t faults() const { return faults_; }

 private:
  void Fault(const std::string& what) {
    if (++faults_ <= 10) std::fprintf(stderr, "fault: %s\n", what.c_str());
  }
  Answer AskFrom(uint16_t port, char what = kAskAndEnd) const {
    return Ask(pod_.application(), what, port, kPatience);
  }
  bool IsTheClient(const Answer& answer) const {
    return answer.kind == Kind::kServed && answer.seen.ip == pod_.client() &&
           answer.seen.port >= settings_.low && answer.seen.port <= settings_.high;
  }
  void Describe(const Answer& answer, const char* when, uint16_t port) {
    static constexpr const char* kNames[] = {"served", "refused", "hung", "no port", "odd"};
    Fault(std::string(when) + ", from port " + std::to_string(port) + ": " +
          kNames[static_cast<size_t>(answer.kind)] + " as " + answer.seen.ToString());
  }

  void Churn() {
    std::atomic<uint32_t> left = settings_.connections;
    std::atomic<uint64_t> served = 0, told = 0, not_made = 0, cut = 0;
    const auto began = std::chrono::steady_clock::now();
    const auto run = [&](int thread) {
      const auto inside = intercept::ScopedNetns::Enter(pod_.client_netns());
      // Every second thread picks where the agent picks, and steps as the agent steps.
      uint32_t next = settings_.low + static_cast<uint32_t>(thread) * settings_.ports() / kThreads;
      for (uint32_t was = left; inside.ok() && was > 0; was = left) {
        if (!left.compare_exchange_weak(was, was - 1)) continue;
        uint16_t port = 0;
        if (thread % 2 == 1) {
          port =
              static_cast<uint16_t>(settings_.low + (next++ - settings_.low) % settings_.ports());
        }
        const Answer answer = AskFrom(port);
        if (answer.kind == Kind::kNoPort && port != 0) {
          ++not_made;  // its last connection from there has not quite ended
        } else if (answer.kind == Kind::kRefused && port != 0) {
          ++told;  // it took a port of ours, again and again if the two run in step
        } else if (answer.kind == Kind::kRefused) {
          ++cut;
        } else if (!IsTheClient(answer)) {
          Describe(answer, "churn", port);
        } else {
          ++served;
        }
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
    for (std::thread& thread : threads) thread.join();
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began);
    std::printf(
        "churn      %lu served, %lu told at once to take another port (counted: %lu), %lu not "
        "made; "
        "the agent took another %lu times; %.1f s, %.0f a second\n",
        static_cast<unsigned long>(served), static_cast<unsigned long>(told),
        static_cast<unsigned long>(pod_.RefusedByRule()), static_cast<unsigned long>(not_made),
        static_cast<unsigned long>(pod_.RefusedToAgent()), took.count(),
        settings_.connections / took.count());
    if (served + told + not_made + cut + faults_ < settings_.connections) {
      Fault("connections are missing");
    }
    if (cut > 0) Fault(std::to_string(cut) + " were refused a port that the kernel picked");
    // Two opening packets with the same four numbers, at the same time on two processors, may each
    // pass the packet rules before the other's connection is there. The agent then takes another
    // port, but the kernel may have ended the client's connection. (It does where both packets come
    // from one kernel, as here, so that their sequence numbers are as near.)
    const uint64_t counted = pod_.RefusedByRule(), met = pod_.HalfOpenEnded();
    if (told < counted || told - counted > met) Fault("refusals are not those that were counted");
    if (met > settings_.connections / 500)
      Fault("met in the act " + std::to_string(met) + " times");
    if (served < settings_.connections / 2) Fault("half of the connections were not served");
  }

  void Hold(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      Answer answer = AskFrom(0, kAskAndStay);
      if (!IsTheClient(answer)) return Describe(answer, "hold", 0);
      taken_.insert(answer.seen.port);
      held_.push_back(std::move(answer.fd));
    }
  }

  void Collide() {
    Hold(settings_.hold);
    const uint64_t before = pod_.RefusedByRule();
    uint64_t served = 0, refused = 0, again = 0;
    for (uint32_t port = settings_.low; port <= settings_.high; ++port) {
      const auto from = static_cast<uint16_t>(port);
      const auto began = std::chrono::steady_clock::now();
      Answer answer = AskFrom(from);
      if (taken_.contains(from)) {
        ++refused;
        if (answer.kind != Kind::kRefused || std::chrono::steady_clock::now() - began > kAtOnce) {
          Describe(answer, "collide, a port of ours", from);
        }
        continue;
      }
      // Used a moment ago for a connection of ours that has not quite ended.
      if (!IsTheClient(answer)) {
        ++again;
        if (!lab::WaitUntil([&] { return IsTheClient(answer = AskFrom(from)); }, kPatience)) {
          Describe(answer, "collide, a free port", from);
        }
      }
      if (answer.seen.port == from) Describe(answer, "both ends have one port", from);
      ++served;
    }
    const uint64_t counted = pod_.RefusedByRule() - before;
    std::printf(
        "collide    %u held; of %u ports tried %lu refused at once (counted: %lu), %lu served, "
        "%lu of them at a second try\n",
        settings_.hold, settings_.ports(), static_cast<unsigned long>(refused),
        static_cast<unsigned long>(counted), static_cast<unsigned long>(served),
        static_cast<unsigned long>(again));
    if (refused != taken_.size()) Fault("a port was refused that was not held");
    if (counted < refused) Fault("refusals are not counted");
  }

  void Exhaust() {
    Answer last;
    uint64_t refused = 0;
    for (uint64_t in_a_row = 0; in_a_row < kEnough;) {
      const auto began = std::chrono::steady_clock::now();
      last = AskFrom(0, kAskAndStay);
      if (IsTheClient(last)) {
        in_a_row = 0;
        held_.push_back(std::move(last.fd));
        continue;
      }
      ++in_a_row, ++refused;
      if (last.kind != Kind::kRefused || std::chrono::steady_clock::now() - began > kAtOnce) {
        Describe(last, "exhaust", 0);
      }
    }
    const uint64_t most = held_.size();
    if (most > settings_.ports()) Fault("more connections than ports");
    // It does not look at every port, when few are left.
    if (most < settings_.ports() * 9 / 10) Fault("ports were left at " + std::to_string(most));
    const double counted = pod_.Metric("whence_source_port_exhausted_total");
    if (counted != static_cast<double>(refused)) Fault("exhaustion is not counted");
    const uint64_t rss = pod_.AgentRssKib();

    if (!pod_.AllowFallback().ok()) Fault("no new configuration");
    Answer own;
    if (!lab::WaitUntil([&] {
          own = AskFrom(0);
          return own.kind == Kind::kServed && own.seen.ip == pod_.address();
        })) {
      Describe(own, "fallback", 0);
    }
    const double fallbacks = pod_.Metric("whence_source_fallback_total");
    if (fallbacks < 1) Fault("the fallback is not counted");

    held_.clear();
    if (!lab::WaitUntil([&] { return IsTheClient(last = AskFrom(0)); })) {
      Describe(last, "after exhaustion", 0);
    }
    std::printf(
        "exhaust    %lu held at most (agent: %lu KiB), then %.0f refused and counted, %.0f from "
        "the agent's own address; served again when given back\n",
        static_cast<unsigned long>(most), static_cast<unsigned long>(rss), counted, fallbacks);
  }

  const Settings& settings_;
  Pod& pod_;
  std::atomic<uint64_t> faults_ = 0;
  std::vector<os::UniqueFd> held_;
  std::set<uint16_t> taken_;
};

bool ReadPorts(Settings* settings) {
  const std::string& text = settings->source_ports;
  const char* const end = text.data() + text.size();
  const auto [dash, error] = std::from_chars(text.data(), end, settings->low);
  if (error != std::errc() || dash == end || *dash != '-') return false;
  const auto [rest, wrong] = std::from_chars(dash + 1, end, settings->high);
  return wrong == std::errc() && rest == end && settings->low > 0 && settings->low < settings->high;
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("One client address and a pod: every source port, and then some.",
               "whence-port-stress");
  app.footer(
      "Examples:\n  whence-port-stress --connections 30000\n"
      "  whence-port-stress --connections 30000 --source-ports 10240-18431");
  app.add_option("--connections", settings.connections, "Of the churn")->capture_default_str();
  app.add_option("--hold", settings.hold, "While the client tries every port")
      ->capture_default_str();
  app.add_option("--source-ports", settings.source_ports, "Of the agent")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!ReadPorts(&settings) || settings.hold >= settings.ports()) {
    std::fprintf(stderr, "give --source-ports LOW-HIGH, and --hold less than their number\n");
    return 2;
  }
  if (const absl::Status can = lab::CanRun(); !can.ok()) {
    std::fprintf(stderr, "skipped: %s\n", std::string(can.message()).c_str());
    return 77;
  }
  RaiseFileLimit();
  auto pod = Pod::Start(settings.source_ports);
  if (!pod.ok()) {
    std::fprintf(stderr, "%s\n", std::string(pod.status().message()).c_str());
    return 1;
  }
  Stress stress(settings, **pod);
  stress.Run();
  return stress.faults() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace whence::stress

int main(int argc, char** argv) { return whence::stress::Main(argc, argv); }
