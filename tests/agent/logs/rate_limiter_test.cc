#include "agent/logs/rate_limiter.h"

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::logs {
namespace {

class RateLimiterTest : public ::testing::Test {
 protected:
  int Admitted(int lines) {
    int admitted = 0;
    for (int i = 0; i < lines; ++i) admitted += limiter_.Admit(now_) ? 1 : 0;
    return admitted;
  }

  absl::Duration now_ = absl::Hours(1);
  RateLimiter limiter_{{.lines = 10, .per = absl::Seconds(30)}};
};

TEST_F(RateLimiterTest, WithoutALimitEveryLinePasses) {
  limiter_ = RateLimiter();
  EXPECT_EQ(Admitted(1000), 1000);
  EXPECT_FALSE(limiter_.has_dropped());
}

TEST_F(RateLimiterTest, ABurstPassesUpToTheLimit) {
  EXPECT_EQ(Admitted(10), 10);
  EXPECT_FALSE(limiter_.has_dropped());
  EXPECT_EQ(Admitted(1), 0);
  EXPECT_TRUE(limiter_.has_dropped());
}

TEST_F(RateLimiterTest, TheNextWindowBeginsAtItsTimeNotBefore) {
  Admitted(10);
  now_ += absl::Seconds(30) - absl::Nanoseconds(1);
  EXPECT_EQ(Admitted(1), 0);
  now_ += absl::Nanoseconds(1);
  EXPECT_EQ(Admitted(11), 10);
}

TEST_F(RateLimiterTest, ASilenceSavesNothingUp) {
  Admitted(10);
  now_ += absl::Hours(1);
  EXPECT_EQ(Admitted(20), 10);
}

TEST_F(RateLimiterTest, WhatWasDroppedIsToldOnceWhenTheWindowIsOver) {
  Admitted(15);
  EXPECT_EQ(limiter_.TakeDropped(now_), 0U);
  EXPECT_EQ(limiter_.window_end(), now_ + absl::Seconds(30));
  now_ += absl::Seconds(30);
  EXPECT_EQ(limiter_.TakeDropped(now_), 5U);
  EXPECT_EQ(limiter_.TakeDropped(now_), 0U);
}

}  // namespace
}  // namespace apm::logs
