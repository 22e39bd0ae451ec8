#include "agent/supervisor/restart_pacer.h"

#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::supervisor {
namespace {

using Pace = RestartPacer::Pace;
using ::testing::ElementsAre;

class RestartPacerTest : public ::testing::Test {
 protected:
  // An end after `ran_for`, of which the process was ready for `ready_for`.
  RestartPacer::Next EndAfter(absl::Duration ran_for,
                              absl::Duration ready_for = absl::ZeroDuration()) {
    now_ += ran_for;
    return pacer_.OnEnd(now_, ready_for, chance_);
  }

  Backoff backoff_;
  CrashLoop crash_loop_;
  RestartPacer pacer_{backoff_, crash_loop_};
  absl::Duration now_ = absl::Hours(1);
  double chance_ = 0;
};

TEST_F(RestartPacerTest, DoublesFromAHundredMillisecondsToThirtySeconds) {
  crash_loop_.failures = 0;  // Off.
  std::vector<absl::Duration> waits;
  for (int i = 0; i < 12; ++i) waits.push_back(EndAfter(absl::Seconds(1)).wait);
  EXPECT_THAT(waits,
              ElementsAre(absl::ZeroDuration(), absl::Milliseconds(100),
                          absl::Milliseconds(200), absl::Milliseconds(400),
                          absl::Milliseconds(800), absl::Milliseconds(1600),
                          absl::Milliseconds(3200), absl::Milliseconds(6400),
                          absl::Milliseconds(12800), absl::Milliseconds(25600),
                          absl::Seconds(30), absl::Seconds(30)));
}

TEST_F(RestartPacerTest, JitterShortensByAtMostItsShare) {
  crash_loop_.failures = 0;
  EndAfter(absl::Seconds(1));
  chance_ = 0.5;
  EXPECT_EQ(EndAfter(absl::Seconds(1)).wait, absl::Milliseconds(90));
  chance_ = 0.999999;
  for (int i = 0; i < 20; ++i) EndAfter(absl::Seconds(1));
  const absl::Duration wait = EndAfter(absl::Seconds(1)).wait;
  EXPECT_GE(wait, absl::Seconds(24));
  EXPECT_LT(wait, absl::Seconds(24.001));
}

TEST_F(RestartPacerTest, BeginsAnewAfterThirtySecondsReady) {
  EndAfter(absl::Seconds(1));
  EXPECT_EQ(EndAfter(absl::Seconds(1)).pace, Pace::kBackoff);
  EXPECT_EQ(EndAfter(absl::Seconds(31), absl::Seconds(29.9)).pace,
            Pace::kBackoff);
  EXPECT_EQ(EndAfter(absl::Seconds(31), absl::Seconds(30)).pace, Pace::kNow);
}

TEST_F(RestartPacerTest, TheTenthEndWithinFiveMinutesIsACrashLoop) {
  for (int i = 1; i <= 9; ++i) {
    EXPECT_NE(EndAfter(absl::Seconds(33)).pace, Pace::kCrashloop) << i;
  }
  const RestartPacer::Next tenth = EndAfter(absl::Seconds(3));
  EXPECT_EQ(tenth.pace, Pace::kCrashloop);
  EXPECT_EQ(tenth.wait, absl::Seconds(60));
}

TEST_F(RestartPacerTest, TenEndsInMoreThanFiveMinutesAreNone) {
  for (int i = 1; i <= 30; ++i) {
    EXPECT_NE(EndAfter(absl::Seconds(34)).pace, Pace::kCrashloop) << i;
  }
}

TEST_F(RestartPacerTest, ALoopOutlivesItsWindow) {
  for (int i = 0; i < 10; ++i) EndAfter(absl::Seconds(1));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(EndAfter(absl::Seconds(61), absl::Seconds(1)).pace,
              Pace::kCrashloop);
  }
}

TEST_F(RestartPacerTest, ALoopEndsWithThirtySecondsReady) {
  for (int i = 0; i < 10; ++i) EndAfter(absl::Seconds(1));
  EXPECT_EQ(EndAfter(absl::Seconds(91), absl::Seconds(30)).pace, Pace::kNow);
  EXPECT_EQ(EndAfter(absl::Seconds(1)).pace, Pace::kBackoff);
}

TEST_F(RestartPacerTest, ResetForgetsTheLoop) {
  for (int i = 0; i < 10; ++i) EndAfter(absl::Seconds(1));
  pacer_.Reset();
  EXPECT_EQ(EndAfter(absl::Seconds(1)).pace, Pace::kNow);
  for (int i = 2; i <= 9; ++i) {
    EXPECT_EQ(EndAfter(absl::Seconds(1)).pace, Pace::kBackoff) << i;
  }
  EXPECT_EQ(EndAfter(absl::Seconds(1)).pace, Pace::kCrashloop);
}

}  // namespace
}  // namespace apm::supervisor
