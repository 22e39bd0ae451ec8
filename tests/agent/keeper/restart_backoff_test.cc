#include "agent/keeper/restart_backoff.h"

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::keeper {
namespace {

constexpr absl::Duration kBriefly = absl::Milliseconds(1);

TEST(RestartBackoffTest, AHealthyProgramIsStartedAgainAtOnce) {
  EXPECT_EQ(RestartBackoff().Next(RestartBackoff::kHealthy),
            absl::ZeroDuration());
}

TEST(RestartBackoffTest, DoublesFrom100MillisecondsTo10Seconds) {
  RestartBackoff backoff;
  for (const int ms : {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000}) {
    EXPECT_EQ(backoff.Next(kBriefly), absl::Milliseconds(ms));
  }
}

TEST(RestartBackoffTest, BeginsAnewAfterAHealthyLifeOnly) {
  RestartBackoff backoff;
  backoff.Next(kBriefly);
  EXPECT_EQ(backoff.Next(RestartBackoff::kHealthy - kBriefly),
            absl::Milliseconds(200));
  EXPECT_EQ(backoff.Next(RestartBackoff::kHealthy), absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(kBriefly), absl::Milliseconds(100));
}

TEST(RestartBackoffTest, FiftyKillsOfAHealthyProgramOneASecondNeverWait) {
  constexpr absl::Duration kStart = absl::Milliseconds(250);  // Until it runs.
  RestartBackoff backoff;
  absl::Duration running_since = kStart;
  for (absl::Duration now = absl::Seconds(1); now <= absl::Seconds(50);
       now += absl::Seconds(1)) {
    const absl::Duration wait = backoff.Next(now - running_since);
    EXPECT_EQ(wait, absl::ZeroDuration()) << now;
    running_since = now + wait + kStart;
  }
}

TEST(RestartBackoffTest, AProgramThatDiesAtItsStartIsTriedSeldom) {
  RestartBackoff backoff;
  int starts = 0;
  for (absl::Duration now; now < absl::Hours(1); now += backoff.Next(kBriefly))
    ++starts;
  EXPECT_LE(starts, 7 + 360);
}

TEST(RestartBackoffTest, ASuccessorGoesOnWhereItWas) {
  RestartBackoff backoff;
  backoff.Next(kBriefly);
  EXPECT_EQ(RestartBackoff(backoff.last()).Next(kBriefly),
            absl::Milliseconds(200));
}

}  // namespace
}  // namespace apm::keeper
