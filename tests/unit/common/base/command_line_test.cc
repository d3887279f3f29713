#include "common/base/command_line.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

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
  NameEnvironment(app);
  EXPECT_EQ(plain->get_envname(), "WHENCE_CONTROL_PLANE");
  EXPECT_EQ(own->get_envname(), "WHENCE_LAB_NAME");
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

}  // namespace
}  // namespace whence
