#include "dataplane/admin/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "dataplane/os/socket.h"
#include "dataplane/os/socket_address.h"

namespace whence::admin {
namespace {

using testing::HasSubstr;

AgentReport Ready() {
  AgentReport report;
  report.agent = "shop/echo";
  report.role = "sidecar";
  auto config = std::make_shared<discovery::ActiveConfig>();
  config->version = "v1";
  config->bundle.set_workload("echo");
  config->bundle.set_revision(7);
  report.config = config;
  report.data_plane = proxy::Counters{};
  report.data_plane->values[static_cast<size_t>(proxy::Counter::kRequestsDenied)] = 42;
  discovery::DiscoveryStats stats;
  stats.connected = true;
  stats.resources = {{discovery::kBundleType, "shop/echo", "v1", "v2", "bad \"CIDR\""}};
  report.discovery = stats;
  report.outbox = access_log::OutboxStats{};
  return report;
}

TEST(PagesTest, ReadyOnlyWithConfigurationAndListenersAndNotWhileDraining) {
  AgentReport report = Ready();
  EXPECT_EQ(HealthPage(report, {"/healthz/ready", ""}).status, 200);
  report.draining = true;
  EXPECT_EQ(HealthPage(report, {"/healthz/ready", ""}).status, 503);
  EXPECT_EQ(HealthPage(report, {"/healthz/live", ""}).status, 200);
  report = Ready();
  report.config = nullptr;
  EXPECT_EQ(HealthPage(report, {"/healthz/ready", ""}).status, 503);
  report = Ready();
  report.data_plane.reset();
  EXPECT_EQ(HealthPage(report, {"/healthz/ready", ""}).status, 503);
  EXPECT_EQ(HealthPage(report, {"/", ""}).status, 404);
}

// Fault 60: however many policies, hosts, paths and clients there were.
TEST(PagesTest, LabelsAreBounded) {
  AgentReport report = Ready();
  for (int i = 0; i < 10'000; ++i) {
    access_log::Record record;
    record.client_address = net::IpAddress::FromV4(static_cast<uint32_t>(i + 1));
    record.Set(access_log::Text::kPolicy, "shop/policy-" + std::to_string(i));
    record.Set(access_log::Text::kPath, "/secret-" + std::to_string(i));
    record.duration_us = 700;
    record.protocol = access_log::Protocol::kHttp11;
    report.accesses.Add(record);
  }
  access_log::Record slow;
  slow.protocol = access_log::Protocol::kHttp11;
  slow.duration_us = 11'000'000'000;
  report.accesses.Add(slow);
  const std::string text = MetricsText(report);
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 500);
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_THAT(text, HasSubstr("whence_accesses_total{decision=\"allow\",policy=\"other\"} 9900\n"));
  EXPECT_THAT(text, HasSubstr("whence_accesses_total{decision=\"allow\",policy=\"none\"} 1\n"));
  EXPECT_THAT(
      text,
      HasSubstr("whence_access_duration_seconds_bucket{protocol=\"http\",le=\"0.0005\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("protocol=\"http\",le=\"0.001\"} 10000\n"));
  EXPECT_THAT(text, HasSubstr("protocol=\"http\",le=\"10\"} 10000\n"));
  EXPECT_THAT(text, HasSubstr("protocol=\"http\",le=\"+Inf\"} 10001\n"));
  // To the last microsecond: Prometheus takes differences.
  EXPECT_THAT(text, HasSubstr("seconds_sum{protocol=\"http\"} 11007.000000\n"));
}

// The text format: each metric has one HELP and one TYPE, before all its samples, which stand
// together.
TEST(PagesTest, MetricsAreWellFormed) {
  std::istringstream text(MetricsPage(Ready(), {"/metrics", ""}).body);
  std::set<std::string> seen;
  std::string current;
  std::string type;
  std::set<std::string> samples;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("# HELP ", 0) == 0) {
      current = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(seen.insert(current).second) << current << " twice";
      EXPECT_EQ(current.rfind("whence_", 0), 0u);
    } else if (line.rfind("# TYPE ", 0) == 0) {
      EXPECT_EQ(line.substr(7, current.size()), current);
      type = line.substr(7 + current.size() + 1);
    } else {
      std::string name = line.substr(0, line.find_first_of("{ "));
      if (type == "histogram") name = name.substr(0, name.rfind('_'));  // _bucket, _sum, _count
      EXPECT_EQ(name, current) << line;
      EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << line;
    }
  }
  EXPECT_THAT(MetricsText(Ready()), HasSubstr("whence_requests_total{decision=\"deny\"} 42\n"));
  EXPECT_THAT(MetricsText(Ready()), HasSubstr("whence_discovery_resources_refused 1\n"));
}

TEST(PagesTest, ConfigDumpIsJson) {
  const HttpResponse response = AdminPage(Ready(), {"/config_dump", "localhost:15000"});
  EXPECT_EQ(response.content_type, "application/json");
  const nlohmann::json dump = nlohmann::json::parse(response.body);
  EXPECT_EQ(dump["about"]["version"], "v1");
  EXPECT_EQ(dump["about"]["resources"][0]["refusedVersion"], "v2");
  EXPECT_EQ(dump["about"]["resources"][0]["error"], "bad \"CIDR\"");
  EXPECT_EQ(dump["bundle"]["workload"], "echo");
  EXPECT_EQ(nlohmann::json::parse(AdminPage(AgentReport(), {"/config_dump", "127.0.0.1"}).body),
            nullptr);
}

TEST(PagesTest, AdminAnswersLoopbackNamesOnly) {
  for (const char* host :
       {"localhost", "LOCALHOST:15000", "127.0.0.1:15000", "127.3.2.1", "[::1]:15000", "[::1]"}) {
    EXPECT_EQ(AdminPage(Ready(), {"/config_dump", host}).status, 200) << host;
  }
  for (const char* host : {"", "evil.example", "evil.example:15000", "127.0.0.1.evil.example",
                           "10.0.0.1:15000", "[2001:db8::1]", "[", "localhost.evil.example"}) {
    EXPECT_EQ(AdminPage(Ready(), {"/config_dump", host}).status, 403) << host;
  }
}

// Everything the server answers to `bytes`, until it closes.
std::string Exchange(const net::SocketAddress& address, const std::string& bytes) {
  os::RawAddress raw = os::ToRaw(address);
  os::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), &raw.generic, raw.size), 0);
  EXPECT_EQ(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(n));
  return answer;
}

TEST(HttpServerTest, AnswersOneRequestPerConnection) {
  // A free port: ask the kernel, then use it.
  os::ListenOptions options;
  options.reuse_port = false;
  net::SocketAddress address{*net::IpAddress::Parse("127.0.0.1"), 0};
  {
    absl::StatusOr<os::UniqueFd> fd = os::Listen(address, options);
    ASSERT_TRUE(fd.ok());
    address.port = os::LocalAddress(fd->get())->port;
  }
  HttpServer server;
  ASSERT_TRUE(server
                  .Listen(address,
                          [](const HttpRequest& request) {
                            return HttpResponse{request.path == "/large" ? 200 : 404,
                                                std::string(1 << 20, 'x')};
                          })
                  .ok());
  EXPECT_FALSE(server.Listen(address, nullptr).ok()) << "taken";
  server.Start();
  const std::string large = Exchange(address, "GET /large?q HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(large.rfind("HTTP/1.1 200 OK\r\n", 0), 0u);
  EXPECT_EQ(large.size() - large.find("\r\n\r\n") - 4, size_t{1} << 20);
  EXPECT_THAT(Exchange(address, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n"),
              HasSubstr("404 Not Found"));
  EXPECT_THAT(Exchange(address, "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
              HasSubstr("405 "));
  const std::string head = Exchange(address, "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 1048576"));
  EXPECT_EQ(head.substr(head.size() - 4), "\r\n\r\n") << "no body";
  EXPECT_EQ(Exchange(address, "nonsense\r\n\r\n").rfind("HTTP/1.1 400 ", 0), 0u);
  server.Stop();
}

}  // namespace
}  // namespace whence::admin
