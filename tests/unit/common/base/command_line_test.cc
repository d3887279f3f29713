#include "common/base/command_line.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace whence {
namespace {

TEST(CommandLineTest, GivesEveryFlagItsVariable) {
  CLI::App app("test");
  CLI::App* const run = app.add_subcommand("run");
  app.set_version_flag("--version", "1");
  std::string word;
  bool dry_run = false;
  auto* const plain = app.add_option("--control-plane", word);
  auto* const own = app.add_option("--name", word)->envname("WHENCE_LAB_NAME");
  auto* const of_command = run->add_flag("-d,--dry-run", dry_run);
  auto* const positional = run->add_option("FILE", word);
  auto* const own_of_command = run->add_option("--lab", word)->envname("WHENCE_LAB");
  NameEnvironment(app);
  EXPECT_EQ(plain->get_envname(), "WHENCE_CONTROL_PLANE");
  EXPECT_EQ(own->get_envname(), "WHENCE_LAB_NAME");
  EXPECT_EQ(of_command->get_envname(), "");
  EXPECT_EQ(own_of_command->get_envname(), "");
  app.parse("run");
  EXPECT_EQ(own_of_command->get_envname(), "WHENCE_LAB");
  EXPECT_EQ(of_command->get_envname(), "WHENCE_DRY_RUN");
  EXPECT_EQ(positional->get_envname(), "");
  EXPECT_EQ(app.get_help_ptr()->get_envname(), "");
  EXPECT_EQ(app.get_version_ptr()->get_envname(), "");
}

TEST(CommandLineTest, TheFlagWinsOverItsVariable) {
  setenv("WHENCE_TEST_WORD", "variable", 1);
  for (const auto& [arguments, want] :
       {std::pair<std::string, std::string>{"", "variable"}, {"--test-word flag", "flag"}}) {
    CLI::App app("test");
    std::string word = "default";
    app.add_option("--test-word", word);
    NameEnvironment(app);
    app.parse(arguments);
    EXPECT_EQ(word, want);
  }
  unsetenv("WHENCE_TEST_WORD");
}

// Two commands whose flags write into the same.
struct TwoCommands {
  TwoCommands() {
    app.require_subcommand(1);
    for (const auto& [name, values] :
         {std::pair<std::string, std::vector<std::string>>{"get", {"table", "yaml"}},
          {"apply", {"table", "json"}}}) {
      CLI::App* const command = app.add_subcommand(name);
      command->add_option("-t,--test-output", output)->check(CLI::IsMember(values));
      command->add_subcommand("all")->add_option("--test-port", port)->check(CLI::Range(1, 9));
    }
    NameEnvironment(app);
  }
  // What is wrong; empty: nothing.
  std::string Parse(const std::string& arguments) {
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return UsageError(app, error.what());
    }
    return "";
  }

  CLI::App app{"test"};
  std::string output = "table";
  int port = 0;
};

TEST(CommandLineTest, VariablesOfCommandsThatWereNotCalledDoNotMatter) {
  setenv("WHENCE_TEST_OUTPUT", "yaml", 1);
  setenv("WHENCE_TEST_PORT", "tcp://10.96.0.7:15010", 1);
  const struct {
    const char* arguments;
    const char* output;
    const char* error;
  } kRows[] = {
      {"get", "yaml", ""},
      {"get -t table", "table", ""},
      {"get --test-output=table", "table", ""},
      {"apply --test-output json", "json", ""},
      {"apply", "table",
       "--test-output: yaml not in {table,json}; --test-output is set by the variable "
       "WHENCE_TEST_OUTPUT"},
      {"apply --test-output xml", "table", "--test-output: xml not in {table,json}"},
      {"get all", "yaml",
       "--test-port: Value tcp://10.96.0.7:15010 not in range 1 to 9; --test-port is set by the "
       "variable "
       "WHENCE_TEST_PORT"},
      {"get all --test-port 7", "yaml", ""},
  };
  for (const auto& row : kRows) {
    TwoCommands commands;
    EXPECT_EQ(commands.Parse(row.arguments), row.error) << row.arguments;
    if (*row.error == '\0') {
      EXPECT_EQ(commands.output, row.output) << row.arguments;
    }
  }
  unsetenv("WHENCE_TEST_OUTPUT");
  unsetenv("WHENCE_TEST_PORT");
}

TEST(CommandLineTest, NamesTheVariablesOfTheFlagsThatAnErrorNames) {
  setenv("WHENCE_TEST_CERT", "a.crt", 1);
  setenv("WHENCE_TEST_LABELS", "a=1,b", 1);
  CLI::App app("test");
  std::string cert, certs;
  std::vector<std::string> labels;
  app.add_option("--test-cert", cert);
  app.add_option("--test-certs", certs);
  app.add_option("--test-labels", labels)->delimiter(',');
  NameEnvironment(app);
  app.parse("--test-certs x");
  EXPECT_EQ(NameVariables(app, ""), "");
  EXPECT_EQ(NameVariables(app, "--test-certs is wrong"), "--test-certs is wrong");
  EXPECT_EQ(NameVariables(app, "--test-certs and --test-cert: give one"),
            "--test-certs and --test-cert: give one; --test-cert is set by the variable "
            "WHENCE_TEST_CERT");
  EXPECT_EQ(NameVariables(app, "--test-labels \"b\": no"),
            "--test-labels \"b\": no; --test-labels is set by the variable WHENCE_TEST_LABELS");
  unsetenv("WHENCE_TEST_CERT");
  unsetenv("WHENCE_TEST_LABELS");
}

TEST(CommandLineTest, AWordTooManyIsNoUnknownCommandWhereThereAreNone) {
  CLI::App app("test");
  try {
    app.parse("word");
    FAIL();
  } catch (const CLI::ParseError& error) {
    EXPECT_EQ(UsageError(app, error.what()), "unexpected argument \"word\"");
  }
}

}  // namespace
}  // namespace whence
