// Fault 17: the clock moves on towards the end of a certificate, and past it.
#include "controlplane/security/certificate_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "controlplane/security/authority.h"

namespace whence::security {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MovedClock final : public Clock {
 public:
  WallTime Now() const override { return now; }
  SteadyTime SteadyNow() const override { return SteadyTime{}; }
  std::atomic<WallTime> now{WallTime(std::chrono::seconds(1'800'000'000))};
};

class CertificateWatchTest : public ::testing::Test {
 protected:
  CertificateWatchTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-cw-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~CertificateWatchTest() override { std::filesystem::remove_all(directory_); }

  void WriteAuthority(hours validity) {
    std::ofstream(directory_ + "/ca.crt")
        << MakeAuthority("whence.local", clock_.Now(), validity)->certificate;
  }
  // What is logged (on stderr) meanwhile.
  template <typename Function>
  std::string Logged(Function function) {
    ::testing::internal::CaptureStderr();
    function();
    return ::testing::internal::GetCapturedStderr();
  }

  MovedClock clock_;
  log::Logger logger_{log::Level::kInfo};
  std::string directory_;
};

TEST_F(CertificateWatchTest, WarnsOnceSevenDaysAndOneDayBeforeTheEndAndAtIt) {
  WriteAuthority(hours(30 * 24));
  CertificateWatch watch({{"--ca", directory_ + "/ca.crt"}}, clock_, logger_);
  EXPECT_THAT(Logged([&] { watch.Check(); }), IsEmpty());
  const char* warnings[] = {"within seven days", "within a day", "has expired"};
  const hours steps[] = {hours(24 * 23 + 1), hours(24 * 6), hours(24)};
  for (int i = 0; i < 3; ++i) {
    clock_.now = clock_.now.load() + steps[i];
    EXPECT_THAT(Logged([&] { watch.Check(); }), HasSubstr(warnings[i]));
    EXPECT_THAT(Logged([&] { watch.Check(); }), IsEmpty());
  }
}

TEST_F(CertificateWatchTest, TakesNoteOfTheNextOneAndShowsItsEnd) {
  WriteAuthority(hours(1));
  std::string first = Logged([&] {
    CertificateWatch watch({{"--ca", directory_ + "/ca.crt"}}, clock_, logger_);
    WriteAuthority(hours(300 * 24));
    watch.Check();
    metrics::TextWriter out;
    watch.Collect(out);
    EXPECT_THAT(out.text(), HasSubstr("_seconds{file=\"ca\"} 1825920000"));
    std::ofstream(directory_ + "/ca.crt") << "half a file";
    watch.Check();
    metrics::TextWriter again;
    watch.Collect(again);
    EXPECT_EQ(out.text(), again.text());
  });
  EXPECT_THAT(first, HasSubstr("within a day"));
  EXPECT_THAT(first, HasSubstr("was replaced"));
  EXPECT_THAT(first, HasSubstr("cannot be used"));
}

}  // namespace
}  // namespace whence::security
