#include "dataplane/loop/timer_wheel.h"

#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace whence::loop {
namespace {

using std::chrono::milliseconds;

class TimerWheelTest : public testing::Test {
 protected:
  struct Probe {
    explicit Probe(TimerWheelTest& in) : test(in), timer(&Probe::Fire, this) {}
    static void Fire(void* self) {
      auto* probe = static_cast<Probe*>(self);
      ++probe->fired;
      probe->fired_at = probe->test.now_;
    }
    TimerWheelTest& test;
    int fired = 0;
    SteadyTime fired_at{};
    Timer timer;
  };

  void AdvanceTo(milliseconds time) {
    now_ = start_ + time;
    wheel_.Advance(now_);
  }

  const SteadyTime start_ = SteadyTime{} + std::chrono::hours(1);
  SteadyTime now_ = start_;
  TimerWheel wheel_{start_};
};

TEST_F(TimerWheelTest, FiresOnceNeverEarly) {
  Probe probe(*this);
  wheel_.Arm(probe.timer, start_ + milliseconds(100));
  AdvanceTo(milliseconds(99));
  EXPECT_EQ(probe.fired, 0);
  AdvanceTo(milliseconds(108));
  EXPECT_EQ(probe.fired, 1);
  EXPECT_FALSE(probe.timer.armed());
  AdvanceTo(milliseconds(20'000));
  EXPECT_EQ(probe.fired, 1);
}

TEST_F(TimerWheelTest, MovedDeadlineHolds) {
  Probe probe(*this);
  wheel_.Arm(probe.timer, start_ + milliseconds(100));
  wheel_.Arm(probe.timer, start_ + milliseconds(500));
  AdvanceTo(milliseconds(499));
  EXPECT_EQ(probe.fired, 0);
  wheel_.Arm(probe.timer, start_ + milliseconds(510));
  AdvanceTo(milliseconds(509));
  EXPECT_EQ(probe.fired, 0);
  AdvanceTo(milliseconds(520));
  EXPECT_EQ(probe.fired, 1);

  wheel_.Arm(probe.timer, now_ + milliseconds(5000));
  wheel_.Arm(probe.timer, now_ + milliseconds(50));
  AdvanceTo(milliseconds(580));
  EXPECT_EQ(probe.fired, 2);
}

TEST_F(TimerWheelTest, DeadlinesBeyondOneTurnWait) {
  Probe probe(*this);
  wheel_.Arm(probe.timer, start_ + milliseconds(60'000));
  for (int t = 0; t < 60'000; t += 7) AdvanceTo(milliseconds(t));
  EXPECT_EQ(probe.fired, 0);
  AdvanceTo(milliseconds(60'010));
  EXPECT_EQ(probe.fired, 1);
}

TEST_F(TimerWheelTest, LongSleepMissesNothing) {
  std::vector<std::unique_ptr<Probe>> probes;
  for (int i = 0; i < 3000; ++i) {
    probes.push_back(std::make_unique<Probe>(*this));
    wheel_.Arm(probes.back()->timer, start_ + milliseconds(i * 10));
  }
  AdvanceTo(milliseconds(40'000));
  for (const auto& probe : probes) EXPECT_EQ(probe->fired, 1);
}

TEST_F(TimerWheelTest, CancelledOrDestroyedTimersStaySilent) {
  Probe cancelled(*this);
  wheel_.Arm(cancelled.timer, start_ + milliseconds(20));
  {
    Probe destroyed(*this);
    wheel_.Arm(destroyed.timer, start_ + milliseconds(20));
  }
  cancelled.timer.Cancel();
  AdvanceTo(milliseconds(100));
  EXPECT_EQ(cancelled.fired, 0);
}

// A timer that is armed for "now" while its own slot fires must fire soon, not a turn later.
TEST_F(TimerWheelTest, ArmedWhileFiringFiresInTheNextTick) {
  struct Again {
    TimerWheel& wheel;
    const SteadyTime& now;
    int fired = 0;
    Timer timer{&Again::Fire, this};
    static void Fire(void* self) {
      auto* again = static_cast<Again*>(self);
      if (++again->fired < 3) again->wheel.Arm(again->timer, again->now);
    }
  };
  Again again{wheel_, now_};
  wheel_.Arm(again.timer, start_ + milliseconds(16));
  for (int t = 16; t < 16 + 8 * 4; t += 8) AdvanceTo(milliseconds(t));
  EXPECT_EQ(again.fired, 3);
}

TEST_F(TimerWheelTest, SleepsUntilTheNextDeadline) {
  EXPECT_EQ(wheel_.SleepTime(now_, milliseconds(1000)), milliseconds(1000));
  Probe probe(*this);
  wheel_.Arm(probe.timer, start_ + milliseconds(100));
  const milliseconds sleep = wheel_.SleepTime(now_, milliseconds(1000));
  EXPECT_GE(sleep, milliseconds(100));
  EXPECT_LE(sleep, milliseconds(108));
  AdvanceTo(sleep);
  EXPECT_EQ(probe.fired, 1);
}

TEST_F(TimerWheelTest, AgreesWithAPlainListUnderRandomUse) {
  std::mt19937 random(7);
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<SteadyTime> want(200);
  std::vector<int> fired_before(200);
  for (int i = 0; i < 200; ++i) probes.push_back(std::make_unique<Probe>(*this));
  for (int step = 0; step < 5000; ++step) {
    const size_t i = random() % probes.size();
    Probe& probe = *probes[i];
    if (random() % 5 == 0) {
      probe.timer.Cancel();
      want[i] = {};
    } else {
      want[i] = now_ + milliseconds(random() % 20'000);
      wheel_.Arm(probe.timer, want[i]);
    }
    for (size_t k = 0; k < probes.size(); ++k) fired_before[k] = probes[k]->fired;
    AdvanceTo(std::chrono::duration_cast<milliseconds>(now_ - start_) +
              milliseconds(random() % 40));
    for (size_t k = 0; k < probes.size(); ++k) {
      const bool fired = probes[k]->fired > fired_before[k];
      if (fired) {
        ASSERT_NE(want[k], SteadyTime{}) << "fired though not armed";
        ASSERT_LE(want[k], now_) << "early";
        want[k] = {};
      } else if (want[k] != SteadyTime{}) {
        ASSERT_GT(want[k] + TimerWheel::kTick, now_) << "late by more than a tick";
      }
    }
  }
}

}  // namespace

}  // namespace whence::loop
