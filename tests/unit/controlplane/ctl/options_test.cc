// The command line of whencectl: what it makes of words, before anybody is asked.
#include "controlplane/ctl/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "tests/unit/controlplane/ctl/typed.h"

namespace whence::ctl {
namespace {

using testing::HasSubstr;

// Variables of this process, for as long as it is there.
class Variables {
 public:
  using Map = std::map<std::string, std::string>;
  explicit Variables(Map variables) : variables_(std::move(variables)) {
    for (const auto& [name, value] : variables_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : variables_) unsetenv(name.c_str());
  }

 private:
  const Map variables_;
};

TEST(OptionsTest, AFlagWinsOverItsVariable) {
  const Variables variables(
      Variables::Map{{"WHENCE_NAMESPACE", "other"}, {"WHENCE_OUTPUT", "json"}});
  const CommandLine remove = Parse({"delete", "ippolicy", "one", "-n", "shop"});
  ASSERT_TRUE(remove.options) << remove.error;
  EXPECT_EQ(std::get<DeleteOptions>(remove.options->command).request.namespace_(), "shop");
  EXPECT_EQ(std::get<DeleteOptions>(remove.options->command).output, Output::kJson);
  const CommandLine get = Parse({"get", "all", "-o", "table"});
  ASSERT_TRUE(get.options) << get.error;
  EXPECT_EQ(std::get<GetOptions>(get.options->command).request.namespace_(), "other");
  EXPECT_EQ(std::get<GetOptions>(get.options->command).output, Output::kTable);
}

TEST(OptionsTest, VariablesOfOtherCommandsDoNotMatter) {
  // WHENCE_PORT as Kubernetes sets it, where a Service is called whence.
  const Variables variables(Variables::Map{{"WHENCE_PORT", "tcp://10.96.0.7:15010"},
                                           {"WHENCE_OUTPUT", "yaml"},
                                           {"WHENCE_LIMIT", "0"},
                                           {"WHENCE_IF_REVISION", "x"}});
  const CommandLine get = Parse({"get", "all"});
  ASSERT_TRUE(get.options) << get.error;
  EXPECT_EQ(std::get<GetOptions>(get.options->command).output, Output::kYaml);
  const CommandLine explain =
      Parse({"explain", "--workload", "a/b", "--peer", "1.2.3.4", "-o", "json"});
  EXPECT_EQ(explain.exit_code, 2);
  EXPECT_THAT(explain.error, HasSubstr("--port is set by the variable WHENCE_PORT"));
}

TEST(OptionsTest, NamesTheVariableThatIsWrong) {
  const Variables variables(Variables::Map{{"WHENCE_PEER", "host"}});
  const CommandLine explain = Parse({"explain", "--workload", "a/b"});
  EXPECT_EQ(explain.exit_code, 2);
  EXPECT_THAT(explain.error, HasSubstr("--peer \"host\": give an IP address; --peer is set by the "
                                       "variable WHENCE_PEER"));
}

// A command line that is not taken, and what is said of it.
struct Wrong {
  std::vector<std::string> arguments;
  const char* want;
};

void ExpectRefused(const std::vector<Wrong>& rows) {
  for (const Wrong& row : rows) {
    std::string text;
    for (const std::string& word : row.arguments) text += word + " ";
    const CommandLine line = Parse(row.arguments);
    EXPECT_FALSE(line.options) << text;
    EXPECT_EQ(line.exit_code, 2) << text;
    EXPECT_THAT(line.error, HasSubstr(row.want)) << text;
    EXPECT_LT(line.error.size(), 250u) << text;
  }
}

TEST(OptionsTest, TakesWholeNumbersOnly) {
  ExpectRefused({
      {{"rollback", "0"}, "\"0\": give a whole number from 1"},
      {{"rollback", "x"}, "\"x\": give a whole number from 1"},
      {{"rollback", "-1"}, "\"-1\": give a whole number from 1"},
      {{"rollback", "18446744073709551616"}, "give a whole number from 1"},
      {{"rollback", "010"}, "give a whole number from 1"},
      {{"rollback", "1", "--if-revision", "-1"}, "--if-revision: \"-1\""},
      {{"apply", "-f", "x", "--if-revision", "-1"}, "give a whole number from 0"},
      {{"delete", "policy", "x", "--if-revision", "0x1"}, "give a whole number from 0"},
      {{"history", "--before", "-1"}, "--before: \"-1\": give a whole number from 1"},
      {{"history", "--before", "0"}, "give a whole number from 1"},
      {{"diff", "-1"}, "\"-1\": give a whole number from 0"},
      {{"diff", "1", "18446744073709551616"}, "give a whole number from 0"},
      {{"explain", "--from-log", "1", "--revision", "-1"}, "--revision: \"-1\""},
      {{"logs", "--id", "0"}, "--id: \"0\": give a whole number from 1"},
      {{"logs", "--id", "x"}, "--id: \"x\": give a whole number from 1"},
      {{"logs", "--before", "9223372036854775808"}, "give a whole number from 1"},
  });
  EXPECT_TRUE(Parse({"logs", "--id", "9223372036854775807"}).options);
  EXPECT_TRUE(Parse({"rollback", "18446744073709551615", "--if-revision", "0"}).options);
  EXPECT_TRUE(Parse({"diff", "0", "3"}).options);
}

TEST(OptionsTest, KnowsWhereTheControlPlaneMayBe) {
  ExpectRefused({
      {{"--control-plane", "", "get", "all"}, "--control-plane \"\": give HOST:PORT"},
      {{"get", "all", "--control-plane", "127.0.0.1:99999"}, "give HOST:PORT"},
      {{"get", "all", "--control-plane", "http://127.0.0.1:1"}, "give HOST:PORT"},
      {{"get", "all", "--control-plane", "a:1", "--ca", "ca", "--cert", "c"}, "belong together"},
      {{"get", "all", "--control-plane", "a:1", "--cert", "c", "--key", "k"}, "give --ca too"},
  });
  EXPECT_TRUE(Parse({"get", "all", "--control-plane", "unix:/run/s"}).options);
}

TEST(OptionsTest, InjectsWhatTheAgentTakes) {
  ExpectRefused({
      {{"inject", "-f", "-", "--include-inbound-ports", "x"}, "--include-inbound-ports: \"x\""},
      {{"inject", "-f", "-", "--exclude-inbound-ports", "80,0"}, "--exclude-inbound-ports"},
      {{"inject", "-f", "-", "--exclude-inbound-ports", "65536"}, "ports such as"},
      {{"inject", "-f", "-", "--exclude-inbound-ports", "*"}, "ports such as"},
      {{"inject", "-f", "-", "--image", ""}, "--image: \"\": give an image"},
      {{"inject", "-f", "-", "--image", "a b"}, "--image: \"a b\": give an image"},
      {{"inject", "-f", "-", "--agent-control-plane", ""},
       "--agent-control-plane: \"\": give HOST"},
      {{"inject", "-f", "-", "--agent-control-plane", "http://a"}, "give HOST:PORT"},
      {{"inject", "-f", "-", "--certs-secret", "a b"}, "--certs-secret"},
  });
  const CommandLine line =
      Parse({"inject", "-f", "-", "--include-inbound-ports", "8080, 9090", "--certs-secret", ""});
  ASSERT_TRUE(line.options) << line.error;
  const inject::Settings& settings = std::get<InjectOptions>(line.options->command).settings;
  EXPECT_EQ(settings.include_ports, "8080,9090");
  EXPECT_EQ(settings.certs_secret, "");
}

TEST(OptionsTest, RefusesFiltersThatWouldShowAllOrNothing) {
  ExpectRefused({
      {{"logs", "--client", ""}, "--client: \"\": give a value"},
      {{"logs", "--request-id", ""}, "--request-id: \"\": give a value"},
      {{"logs", "--workload", "a/b/c"}, "--workload \"a/b/c\": give NAMESPACE/NAME"},
      {{"logs", "--since", "1h", "--until", "2h"}, "no record could fit"},
      {{"logs", "--since", "1h", "--until", "1h"}, "no record could fit"},
      {{"logs", "--since", "2026-11-22T22:54:15Z", "--until", "2026-11-22T22:54:14Z"}, "no record"},
      {{"logs", "-f", "--deadline", "1s"}, "--deadline: what follows has no end"},
  });
  EXPECT_TRUE(Parse({"logs", "--since", "2h", "--until", "1h"}).options);
  EXPECT_TRUE(Parse({"logs", "--since", "2026-11-22T22:54:15Z", "--until", "1h"}).options);
}

TEST(OptionsTest, RefusesWrongWordsBeforeItAsks) {
  ExpectRefused({
      {{"get", "bogus"}, "unknown kind \"bogus\": give one of "},
      {{"get", ""}, "unknown kind \"\""},
      {{"delete", "bogus", "x"}, "unknown kind \"bogus\""},
      {{"apply", "-f", ""}, "-f \"\": give a file"},
      {{"certs", "init", "--trust-domain", "Bad Domain"}, "--trust-domain \"Bad Domain\": give"},
  });
  EXPECT_TRUE(Parse({"get", "svc"}).options);
}

TEST(OptionsTest, ExplainRefusesFlagsWithoutEffect) {
  ExpectRefused({
      {{"explain", "--workload", "a/b", "--peer", "1.2.3.4", "--tcp", "--host", "h"},
       "not with --tcp"},
      {{"explain", "--from-log", "1", "--peer", "1.2.3.4"}, "take accesses from records"},
      {{"explain", "--diff", "x", "--workload", "a/b"}, "take accesses from records"},
  });
  EXPECT_TRUE(Parse({"explain", "--workload", "a/b", "--peer", "1.2.3.4", "--tcp"}).options);
}

TEST(OptionsTest, CopiesBetweenTwoStores) {
  ExpectRefused({
      {{"store", "copy", "--from", "x", "--to", "sqlite:b"}, "--from \"x\": give sqlite:DATA-DIR"},
      {{"store", "copy", "--from", "sqlite:", "--to", "sqlite:b"}, "--from \"sqlite:\": give"},
      {{"store", "copy", "--from", "sqlite:a", "--to", "b"}, "--to \"b\": give sqlite:DATA-DIR"},
      {{"store", "copy", "--from", "sqlite:a", "--to", "etcd:ftp://b"}, "--to \"etcd:ftp://b\": "},
      {{"store", "copy", "--from", "sqlite:a", "--to", "sqlite:./a/"}, "name one store"},
      {{"store", "copy", "--from", "etcd:http://a:1", "--to", "etcd:http://a:1"}, "name one store"},
  });
  EXPECT_TRUE(Parse({"store", "copy", "--from", "sqlite:a", "--to", "sqlite:b"}).options);
}

}  // namespace
}  // namespace whence::ctl
