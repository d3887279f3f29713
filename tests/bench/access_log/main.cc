// Intake of access records: how many a second, how it keeps as the table grows, how long the slowest
// waited until it was there, how large they get, and how long it takes to ask for a client's.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <vector>

#include "common/base/command_line.h"
#include "controlplane/store/database.h"
#include "tests/bench/access_log/control.h"
#include "tests/bench/access_log/flood.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint64_t records = 10'000'000;
  uint32_t agents = 4;
  std::string directory;
  bool verify = false;
};

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

int64_t Ask(const std::string& path, store::Sql sql) {
  auto database = store::Database::Open(path, {.read_only = true});
  if (!database.ok()) return -1;
  return (*database)->QueryInt(sql, "measure").value_or(-1);
}

// Prints a line per tenth; returns when all streams have ended.
bool Intake(const Control& control, const Options& options) {
  Progress progress;
  std::atomic<uint32_t> running{options.agents};
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  const Clock::time_point began = Clock::now();
  for (uint32_t agent = 0; agent < options.agents; ++agent) {
    threads.emplace_back([&, agent] {
      if (!Flood(control.target(), agent, options.records / options.agents, &progress)) {
        good = false;
      }
      --running;
    });
  }
  std::printf("%12s %10s %14s %12s %8s %8s\n", "records", "records/s", "CPU us/record",
              "slowest ms", "RSS MiB", "WAL MiB");
  const uint64_t step = std::max<uint64_t>(options.records / 10, 1);
  uint64_t done = 0;
  Clock::time_point last = began;
  double cpu = control.CpuSeconds();
  while (running > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const uint64_t now_done = progress.acknowledged.load();
    if (now_done - done < step && running > 0) continue;
    const double now_cpu = control.CpuSeconds();
    std::error_code error;
    const auto wal = std::filesystem::file_size(control.database() + "-wal", error);
    std::printf("%12llu %10.0f %14.2f %12.0f %8.0f %8.0f\n",
                static_cast<unsigned long long>(now_done),
                static_cast<double>(now_done - done) / Seconds(last),
                (now_cpu - cpu) * 1e6 / static_cast<double>(std::max<uint64_t>(now_done - done, 1)),
                static_cast<double>(progress.slowest_us.exchange(0)) / 1000,
                static_cast<double>(control.ResidentBytes()) / (1 << 20),
                error ? 0.0 : static_cast<double>(wal) / (1 << 20));
    std::fflush(stdout);
    done = now_done;
    cpu = now_cpu;
    last = Clock::now();
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("all: %.0f records/s\n",
              static_cast<double>(progress.acknowledged.load()) / Seconds(began));
  return good;
}

void AwaitIndexes(const Control& control) {
  const Clock::time_point began = Clock::now();
  while (Ask(control.database(), "select count(*) from segments where sealed and indexes < 2") >
         0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::printf("every sealed segment indexed %.2f s after the last record\n", Seconds(began));
}

void Queries(const Control& control) {
  auto stub = v1::LogService::NewStub(
      grpc::CreateChannel(control.target(), grpc::InsecureChannelCredentials()));
  for (const char* cidr : {"198.51.100.0/24", "198.51.100.7/32", "203.0.113.0/24"}) {
    std::vector<double> times;
    size_t rows = 0;
    for (int i = 0; i < 21; ++i) {
      v1::LogQuery query;
      query.set_client_cidr(cidr);
      query.set_limit(100);
      grpc::ClientContext context;
      const Clock::time_point began = Clock::now();
      auto reader = stub->Query(&context, query);
      v1::LogRow row;
      rows = 0;
      while (reader->Read(&row)) ++rows;
      if (!reader->Finish().ok()) std::printf("query failed\n");
      times.push_back(Seconds(began) * 1000);
    }
    const double first = times[0];
    std::sort(times.begin(), times.end());
    std::printf("client %-16s %4zu rows: first %.1f ms, median %.1f ms, slowest %.1f ms\n", cidr,
                rows, first, times[10], times.back());
  }
}

int Run(const Options& options) {
  Control control(options.directory);
  if (!control.ready()) {
    std::fprintf(stderr, "whence-bench-access-log: whence-control did not start\n");
    return 1;
  }
  if (!Intake(control, options)) {
    std::fprintf(stderr, "whence-bench-access-log: a stream broke\n");
    return 1;
  }
  AwaitIndexes(control);
  const int64_t rows = Ask(control.database(), "select sum(rows) from segments");
  const int64_t pages = Ask(control.database(), "pragma page_count");
  const int64_t size = Ask(control.database(), "pragma page_size");
  std::printf("%lld rows in %lld segments, %.2f GiB, %.0f bytes a row\n",
              static_cast<long long>(rows),
              static_cast<long long>(Ask(control.database(), "select count(*) from segments")),
              static_cast<double>(pages * size) / (1 << 30),
              static_cast<double>(pages * size) / static_cast<double>(std::max<int64_t>(rows, 1)));
  Queries(control);
  const int64_t want = static_cast<int64_t>(options.records / options.agents * options.agents);
  const int64_t seen =
      options.verify ? Ask(control.database(), "select count(*) from access_log") : rows;
  if (seen == want && rows == want) return 0;
  std::fprintf(stderr, "whence-bench-access-log: %lld records sent, %lld stored\n",
               static_cast<long long>(want), static_cast<long long>(seen));
  return 1;
}

}  // namespace
}  // namespace whence::bench

int main(int argc, char** argv) {
  CLI::App app("Measures the intake of access records by a whence-control of its own.",
               "whence-bench-access-log");
  whence::bench::Options options;
  app.add_option("--records", options.records, "So many in all")->capture_default_str();
  app.add_option("--agents", options.agents, "Streams")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--directory", options.directory, "Where the database is (default: temporary)");
  app.add_flag("--verify", options.verify, "Count the rows of the view as well");
  app.footer(
      "Examples:\n  whence-bench-access-log\n"
      "  whence-bench-access-log --records 1000000 --agents 1\n");
  whence::NameEnvironment(app);
  CLI11_PARSE(app, argc, argv);
  return whence::bench::Run(options);
}
