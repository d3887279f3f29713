#include "dataplane/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace whence {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandLine Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "whence-agent");
  const HostDefaults host{
      "host-1", 16, {*net::IpAddress::Parse("10.32.1.205"), *net::IpAddress::Parse("fe80::1")}};
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(), host);
}

TEST(ConfigTest, RefusesWrongUsageInOneLineThatHelps) {
  const struct {
    const char* name;
    std::vector<const char*> arguments;
    const char* want;
  } kRows[] = {
      {"no source", {"run"}, "either --control-plane"},
      {"two sources", {"run", "--control-plane", "a:1", "--static", "d"}, "either --control-plane"},
      {"no port",
       {"run", "--control-plane", "10.0.0.5"},
       "--control-plane \"10.0.0.5\": give HOST:PORT"},
      {"no such port", {"run", "--control-plane", "a:99999"}, "give HOST:PORT"},
      {"a URL", {"run", "--control-plane", "http://a:1"}, "give HOST:PORT"},
      {"no workers", {"run", "--static", "d", "--workers", "0"}, "--workers: give 1 to 256"},
      {"unknown flag", {"run", "--static", "d", "--wokers", "2"}, "--wokers"},
      {"unknown command", {"rum"}, "rum"},
      {"no command", {}, "subcommand"},
      {"role", {"run", "--static", "d", "--role", "proxy"}, "--role \"proxy\": give sidecar"},
      {"interception",
       {"run", "--static", "d", "--interception", "magic"},
       "--interception \"magic\""},
      {"sidecar without interception",
       {"run", "--static", "d", "--interception", "none"},
       "gateways and nodes"},
      {"label", {"run", "--static", "d", "--labels", "a=b,c"}, "--labels \"c\""},
      {"address", {"run", "--static", "d", "--pod-ip", "10.0.0.300"}, "--pod-ip \"10.0.0.300\""},
      {"host", {"run", "--static", "d", "--host-ip", "node-1"}, "--host-ip"},
      {"name with slash", {"run", "--static", "d", "--name", "a/b"}, "--name \"a/b\""},
      {"name with colon", {"run", "--static", "d", "--name", "a:b"}, "letters, digits, - _ and ."},
      {"name not ASCII", {"run", "--static", "d", "--name", "caf\xc3\xa9"}, "--name"},
      {"namespace with @", {"run", "--static", "d", "--namespace", "a@b"}, "--namespace \"a@b\""},
      {"admin for all", {"run", "--static", "d", "--admin", ":15000"}, "loopback"},
      {"port", {"run", "--static", "d", "--metrics", "15020"}, "--metrics \"15020\": give IP:PORT"},
      {"duration", {"run", "--static", "d", "--drain-timeout", "soon"}, "such as 10s"},
      {"limit of no sense",
       {"run", "--static", "d", "--max-header-bytes", "1000000"},
       "--max-header-bytes \"1000000\": give 1024 to 65536"},
      {"limit without unit",
       {"run", "--static", "d", "--header-timeout", "10"},
       "--header-timeout \"10\": give 1ms to 24h"},
      {"size", {"run", "--static", "d", "--spool-size", "1KiB"}, "at least 1MiB"},
      {"key alone", {"run", "--control-plane", "a:1", "--key", "k"}, "belong together"},
      {"TLS to nobody", {"run", "--static", "d", "--ca", "k"}, "for --control-plane"},
      {"workload",
       {"run", "--static", "d", "--static-workload", "echo@1.2.3.4"},
       "NAMESPACE/NAME@IP"},
  };
  for (const auto& row : kRows) {
    const CommandLine line = Parse(row.arguments);
    EXPECT_EQ(line.command, CommandLine::Command::kNone) << row.name;
    EXPECT_EQ(line.exit_code, 2) << row.name;
    EXPECT_THAT(line.error, HasSubstr(row.want)) << row.name;
    EXPECT_THAT(line.error, HasSubstr("--help")) << row.name;
    EXPECT_EQ(line.error.find('\n'), std::string::npos) << row.name;
  }
}

TEST(ConfigTest, DefaultsToASidecarOfThisHost) {
  const CommandLine line = Parse({"run", "--control-plane", "127.0.0.1:15010"});
  ASSERT_EQ(line.command, CommandLine::Command::kRun) << line.error;
  const AgentConfig& config = line.run;
  EXPECT_EQ(config.self.name, "host-1");
  EXPECT_EQ(config.self.namespace_, "default");
  EXPECT_EQ(config.self.role, trust::Role::kSidecar);
  EXPECT_TRUE(config.self.has_sidecar);
  EXPECT_THAT(config.self.addresses, ElementsAre(*net::IpAddress::Parse("10.32.1.205")))
      << "no link-local one";
  EXPECT_EQ(config.data_plane.own_addresses.size(), 3u);
  EXPECT_EQ(config.interception, "tproxy");
  EXPECT_EQ(config.data_plane.workers, 4);
  EXPECT_EQ(config.admin->ToString(), "127.0.0.1:15000");
  EXPECT_EQ(config.metrics->ToString(), "127.0.0.1:15020")
      << "nothing is reachable that was not asked for";
  EXPECT_EQ(config.health->ToString(), "127.0.0.1:15021");
  EXPECT_EQ(config.drain_timeout, std::chrono::seconds(10));
}

TEST(ConfigTest, TellsWhichPortsAreIntercepted) {
  const CommandLine line =
      Parse({"run", "--control-plane", "127.0.0.1:15010", "--exclude-inbound-ports", "22,15020",
             "--include-inbound-ports", "*"});
  ASSERT_EQ(line.command, CommandLine::Command::kRun) << line.error;
  EXPECT_TRUE(line.run.ports_given);
  EXPECT_FALSE(line.run.self.Intercepts(22));
  EXPECT_TRUE(line.run.self.Intercepts(80));
  EXPECT_FALSE(Parse({"run", "--static", "d"}).run.ports_given);
  const CommandLine wrong = Parse({"run", "--static", "d", "--exclude-inbound-ports", "ssh"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.error, HasSubstr("--exclude-inbound-ports \"ssh\": give ports"));
}

TEST(ConfigTest, SourcePortsAreARange) {
  const CommandLine standard = Parse({"run", "--static", "d"});
  EXPECT_EQ(standard.run.data_plane.upstream_ports.low, 10240);
  EXPECT_EQ(standard.run.data_plane.upstream_ports.high, 32767);
  const CommandLine own = Parse({"run", "--static", "d", "--source-ports", "1024-1024"});
  EXPECT_EQ(own.run.data_plane.upstream_ports.low, 1024) << own.error;
  EXPECT_EQ(own.run.data_plane.upstream_ports.high, 1024);
  for (const char* wrong : {"", "5", "-", "1-", "-9", "9-8", "0-9", "1-65536", "1-2-3", "*-9"}) {
    const CommandLine line = Parse({"run", "--static", "d", "--source-ports", wrong});
    EXPECT_EQ(line.exit_code, 2) << wrong;
    EXPECT_THAT(line.error, HasSubstr("--source-ports")) << wrong;
  }
}

TEST(ConfigTest, TakesEveryFlag) {
  const CommandLine line = Parse({"run",
                                  "--static",
                                  "docs",
                                  "--role",
                                  "gateway",
                                  "--name",
                                  "gw-1",
                                  "--namespace",
                                  "istio-system",
                                  "--labels",
                                  "app=gw,tier=a",
                                  "--pod-ip",
                                  "10.1.1.1,2001:db8::1",
                                  "--host-ip",
                                  "10.128.0.53",
                                  "--workers",
                                  "2",
                                  "--metrics",
                                  ":15020",
                                  "--health",
                                  "off",
                                  "--state-dir",
                                  "/s",
                                  "--access-log",
                                  "-",
                                  "--drain-timeout",
                                  "500ms",
                                  "--spool-size",
                                  "2GiB",
                                  "--static-workload",
                                  "shop/echo@10.1.1.2;app=echo;v=1,shop/other@::1"});
  ASSERT_EQ(line.command, CommandLine::Command::kRun) << line.error;
  const AgentConfig& config = line.run;
  EXPECT_EQ(config.interception, "none");
  EXPECT_FALSE(config.self.has_sidecar);
  EXPECT_EQ(config.self.labels, (std::map<std::string, std::string>{{"app", "gw"}, {"tier", "a"}}));
  EXPECT_EQ(config.self.addresses.size(), 2u);
  EXPECT_EQ(config.self.node, "10.128.0.53");
  EXPECT_EQ(config.metrics->ToString(), "[::]:15020");
  EXPECT_FALSE(config.health.has_value());
  EXPECT_EQ(config.drain_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(config.spool_bytes, uint64_t{2} << 30);
  ASSERT_EQ(config.static_workloads.size(), 2u);
  EXPECT_EQ(config.static_workloads[0].labels.at("v"), "1");
  EXPECT_EQ(config.static_workloads[1].name, "other");
}

TEST(ConfigTest, LimitsHaveFlagsAndDefaults) {
  const proxy::Limits defaults;
  const CommandLine without = Parse({"run", "--static", "d"});
  EXPECT_EQ(without.run.data_plane.limits.header_timeout, defaults.header_timeout);
  EXPECT_EQ(without.run.data_plane.limits.max_header_bytes, defaults.max_header_bytes);
  EXPECT_EQ(without.run.data_plane.limits.listen_backlog, defaults.listen_backlog);
  setenv("WHENCE_MAX_HEADER_FIELDS", "50", 1);
  const CommandLine with =
      Parse({"run", "--static", "d", "--max-connections", "7", "--max-requests-per-connection", "9",
             "--header-timeout", "1500ms", "--keep-alive-timeout", "2m", "--connect-timeout", "3s",
             "--listen-backlog", "16"});
  unsetenv("WHENCE_MAX_HEADER_FIELDS");
  ASSERT_EQ(with.command, CommandLine::Command::kRun) << with.error;
  const proxy::Limits& limits = with.run.data_plane.limits;
  EXPECT_EQ(limits.max_connections, 7u);
  EXPECT_EQ(limits.max_requests_per_connection, 9u);
  EXPECT_EQ(limits.max_header_fields, 50u);
  EXPECT_EQ(limits.header_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(limits.keep_alive_timeout, std::chrono::minutes(2));
  EXPECT_EQ(limits.connect_timeout, std::chrono::seconds(3));
  EXPECT_EQ(limits.listen_backlog, 16u);
  EXPECT_THAT(Parse({"run", "--help"}).out, HasSubstr("WHENCE_STREAM_IDLE_TIMEOUT"));
}

TEST(ConfigTest, TakesTheEnvironmentForWhatIsNotGiven) {
  setenv("WHENCE_STATIC", "docs", 1);
  setenv("WHENCE_LABELS", "app=echo,v=1", 1);
  setenv("WHENCE_NAME", "from-environment", 1);
  const CommandLine line = Parse({"run", "--name", "from-flag"});
  for (const char* name : {"WHENCE_STATIC", "WHENCE_LABELS", "WHENCE_NAME"}) unsetenv(name);
  ASSERT_EQ(line.command, CommandLine::Command::kRun) << line.error;
  EXPECT_EQ(line.run.static_directory, "docs");
  EXPECT_EQ(line.run.self.labels.size(), 2u);
  EXPECT_EQ(line.run.self.name, "from-flag");
}

TEST(ConfigTest, HelpsAtEveryLevel) {
  EXPECT_THAT(Parse({"--help"}).out, HasSubstr("Examples:"));
  EXPECT_THAT(Parse({"run", "--help"}).out, HasSubstr("WHENCE_CONTROL_PLANE"));
  EXPECT_THAT(Parse({"run", "--help"}).out, HasSubstr("Examples:"));
  EXPECT_THAT(Parse({"validate", "--help"}).out, HasSubstr("Example:"));
  EXPECT_EQ(Parse({"--version"}).out, "whence-agent " WHENCE_VERSION "\n");
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
}

TEST(ConfigTest, LeavesInterceptionItsOwnCommandLine) {
  const CommandLine line = Parse({"intercept", "install", "--mode", "redirect", "--help"});
  EXPECT_EQ(line.command, CommandLine::Command::kIntercept);
  EXPECT_THAT(line.arguments, ElementsAre("install", "--mode", "redirect", "--help"));
}

}  // namespace
}  // namespace whence
