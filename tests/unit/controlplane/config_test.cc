#include "controlplane/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "controlplane/units.h"

namespace whence::control {
namespace {

using ::testing::HasSubstr;

CommandLine Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "whence-control");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ConfigTest, HasTheDocumentedDefaults) {
  CommandLine line = Parse({});
  ASSERT_TRUE(line.config) << line.error;
  EXPECT_EQ(line.config->data_dir, "./whence-data");
  EXPECT_EQ(line.config->listen->ToString(), "127.0.0.1:15010");
  EXPECT_FALSE(line.config->listen_tls);
  EXPECT_EQ(line.config->http->ToString(), "127.0.0.1:15014");
  EXPECT_EQ(line.config->log_retention, std::chrono::hours(7 * 24));
  EXPECT_EQ(line.config->log_max_bytes, uint64_t{10} << 30);
}

TEST(ConfigTest, FindsEtcd) {
  CommandLine line = Parse({"--store", "etcd", "--etcd-endpoints", "http://127.0.0.1:1,https://e:2",
                            "--etcd-prefix", "a"});
  ASSERT_TRUE(line.config) << line.error;
  ASSERT_TRUE(line.config->etcd);
  ASSERT_EQ(line.config->etcd->endpoints.size(), 2u);
  EXPECT_EQ(line.config->etcd->endpoints[1].ToString(), "https://e:2");
  EXPECT_EQ(line.config->etcd->prefix, "/a/");
  EXPECT_FALSE(Parse({}).config->etcd);
  EXPECT_TRUE(
      Parse({"--store", "etcd", "--etcd-endpoints", "http://e:1", "--etcd-insecure"}).config);
}

TEST(ConfigTest, RefusesWrongUsageWithOneLineAndCodeTwo) {
  struct Row {
    std::vector<const char*> arguments;
    const char* want;
  };
  const Row rows[] = {
      {{"--listen", "0.0.0.0:15010"}, "--insecure-bind"},
      {{"--listen", ":15010"}, "--insecure-bind"},
      {{"--listen", "[::ffff:10.0.0.1]:1"}, "--insecure-bind"},
      {{"--http", "10.0.0.1:1"}, "--insecure-bind"},
      {{"--listen", "example.com:15010"}, "IP:PORT"},
      {{"--listen", "unix:"}, "unix:PATH"},
      {{"--listen", "none"}, "nothing to listen on"},
      {{"--listen-tls", ":15012"}, "--cert and --key"},
      {{"--listen-tls", ":15012", "--cert", "c", "--key", "k"}, "give --ca"},
      {{"--cert", "c"}, "--listen-tls"},
      {{"--log-retention", "7"}, "--log-retention \"7\""},
      {{"--log-retention", "0d"}, "--log-retention"},
      {{"--log-max-size", "10 GiB"}, "--log-max-size"},
      {{"--log-level", "loud"}, "--log-level"},
      {{"--data-dir", ""}, "--data-dir"},
      {{"--store", "mysql"}, "sqlite or etcd"},
      {{"--store", "etcd"}, "--etcd-endpoints"},
      {{"--etcd-endpoints", "http://127.0.0.1:2379"}, "--store etcd"},
      {{"--store", "etcd", "--etcd-endpoints", "127.0.0.1"}, "http://HOST:PORT"},
      {{"--store", "etcd", "--etcd-endpoints", "http://127.0.0.1:1,http://10.0.0.1:1"},
       "--etcd-insecure"},
      {{"--store", "etcd", "--etcd-endpoints", "https://e:1", "--etcd-cert", "c"}, "--etcd-key"},
      {{"--webhook", ":9443", "--webhook-cert", "c", "--webhook-key", "k", "--inject-image", ""},
       "--inject-image: \"\": give an image"},
      {{"--no-such-flag"}, "--no-such-flag"},
      {{"stray"}, "stray"},
  };
  for (const Row& row : rows) {
    CommandLine line = Parse(row.arguments);
    EXPECT_FALSE(line.config) << row.want;
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_THAT(line.error, HasSubstr(row.want));
    EXPECT_EQ(line.error.find('\n'), std::string::npos) << line.error;
  }
}

TEST(ConfigTest, TakesWhatIsLocalAuthenticatedOrAllowed) {
  for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
           {"--listen", "unix:/tmp/x.sock"},
           {"--listen", "[::1]:0"},
           {"--listen", "localhost:1"},
           {"--listen", "0.0.0.0:1", "--insecure-bind"},
           {"--listen-tls", ":15012", "--cert", "c", "--key", "k", "--ca", "a"},
           {"--http", "none"}}) {
    CommandLine line = Parse(arguments);
    EXPECT_TRUE(line.config) << arguments[1] << ": " << line.error;
  }
}

TEST(ConfigTest, ReadsTheEnvironmentBelowTheFlags) {
  setenv("WHENCE_DATA_DIR", "/from/environment", 1);
  setenv("WHENCE_INSECURE_BIND", "true", 1);
  setenv("WHENCE_LISTEN", "0.0.0.0:7", 1);
  CommandLine environment = Parse({});
  CommandLine flag = Parse({"--data-dir", "/from/flag"});
  unsetenv("WHENCE_DATA_DIR");
  unsetenv("WHENCE_INSECURE_BIND");
  unsetenv("WHENCE_LISTEN");
  ASSERT_TRUE(environment.config) << environment.error;
  EXPECT_EQ(environment.config->data_dir, "/from/environment");
  EXPECT_EQ(environment.config->listen->ToString(), "0.0.0.0:7");
  EXPECT_EQ(flag.config->data_dir, "/from/flag");
}

TEST(ConfigTest, HelpHasExamplesAndVersionIsOneLine) {
  CommandLine help = Parse({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_THAT(help.out, HasSubstr("--log-max-size"));
  CommandLine version = Parse({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out, "whence-control " WHENCE_VERSION "\n");
}

TEST(UnitsTest, ParsesWholeNumbersWithUnits) {
  using std::chrono::seconds;
  EXPECT_EQ(ParseDuration("90s"), seconds(90));
  EXPECT_EQ(ParseDuration("2w"), seconds(1'209'600));
  EXPECT_EQ(ParseSize("10GiB"), uint64_t{10} << 30);
  EXPECT_EQ(ParseSize("5kB"), 5000u);
  for (const char* bad : {"", "7", "d", "-1d", "1.5d", "7 d", "7dd", "99999999999999999999d",
                          "18446744073709551615w"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
  for (const char* bad : {"", "10", "10gib", "GiB", "16777216TiB", "-1B"}) {
    EXPECT_FALSE(ParseSize(bad)) << bad;
  }
}

}  // namespace
}  // namespace whence::control
