#include "controlplane/log/logger.h"

#include <gtest/gtest.h>

namespace whence::log {
namespace {

TEST(LoggerTest, ShowsPlainValuesAsTheyAre) {
  EXPECT_EQ(FormatLine("applied", {{"revision", 7}, {"author", "ana"}}),
            "applied revision=7 author=ana");
}

TEST(LoggerTest, KeepsAnEventOnOneLineWhateverTheNetworkSends) {
  EXPECT_EQ(FormatLine("refused", {{"agent", "a\nINFO forged \x1b[2J\"\\"}, {"empty", ""}}),
            "refused agent=\"a\\x0aINFO forged \\x1b[2J\\\"\\\\\" empty=\"\"");
}

TEST(LoggerTest, TakesBracesAsText) {
  testing::internal::CaptureStderr();
  Logger(Level::kInfo).Info("{} {0:x}", {{"path", "/{id}"}});
  EXPECT_NE(testing::internal::GetCapturedStderr().find("info {} {0:x} path=/{id}\n"),
            std::string::npos);
}

TEST(LoggerTest, LeavesOutWhatIsBelowItsLevel) {
  testing::internal::CaptureStderr();
  Logger logger(Level::kWarning);
  logger.Info("unheard");
  logger.Error("heard");
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("unheard"), std::string::npos);
  EXPECT_NE(text.find("error heard"), std::string::npos);
}

}  // namespace
}  // namespace whence::log
