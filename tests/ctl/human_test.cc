#include "ctl/human.h"

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::ctl {
namespace {

TEST(HumanDurationTest, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(HumanDuration(absl::Milliseconds(850)), "850ms");
  EXPECT_EQ(HumanDuration(absl::Seconds(1)), "1s");
  EXPECT_EQ(HumanDuration(absl::Seconds(59.9)), "59s");
  EXPECT_EQ(HumanDuration(absl::Seconds(192)), "3m 12s");
  EXPECT_EQ(HumanDuration(absl::Hours(5)), "5h 0m");
  EXPECT_EQ(HumanDuration(absl::Hours(24 * 12 + 4)), "12d 4h");
}

TEST(HumanBytesTest, ShowsOneDecimalAboveAKilobyte) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KB");
  EXPECT_EQ(HumanBytes(47'500'000), "45.3 MB");
  EXPECT_EQ(HumanBytes(uint64_t{5} << 40), "5.0 TB");
}

TEST(HumanBytesTest, NeverShowsAThousandOfAUnitThatHasAnother) {
  EXPECT_EQ(HumanBytes((uint64_t{1} << 20) - 1), "1.0 MB");
}

}  // namespace
}  // namespace apm::ctl
