#include "agent/keeper/restart_backoff.h"

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::keeper {
namespace {

constexpr absl::Duration kBriefly = absl::Milliseconds(1);

TEST(RestartBackoffTest, StartsAgainAtOnceTheFirstTime) {
  EXPECT_EQ(RestartBackoff().Next(kBriefly), absl::ZeroDuration());
}

TEST(RestartBackoffTest, DoublesFrom100MillisecondsTo5Seconds) {
  RestartBackoff backoff;
  backoff.Next(kBriefly);
  for (const int expected_ms : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_EQ(backoff.Next(kBriefly), absl::Milliseconds(expected_ms));
  }
}

TEST(RestartBackoffTest, BeginsAnewAfterALifeOfTenSeconds) {
  RestartBackoff backoff;
  backoff.Next(kBriefly);
  backoff.Next(kBriefly);
  EXPECT_EQ(backoff.Next(absl::Seconds(10)), absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::Seconds(9.9)), absl::Milliseconds(100));
}

}  // namespace
}  // namespace apm::keeper
