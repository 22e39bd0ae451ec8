#include "agent/config/quantity.h"

#include <signal.h>

#include <optional>
#include <string_view>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::config {
namespace {

TEST(QuantityTest, CountsUpToTheirLimit) {
  EXPECT_EQ(ParseCount("0", 10), 0u);
  EXPECT_EQ(ParseCount("10", 10), 10u);
  EXPECT_EQ(ParseCount("18446744073709551615", UINT64_MAX), UINT64_MAX);
  for (const std::string_view text :
       {"", "11", "1x", "-1", "+1", " 1", "18446744073709551616"}) {
    EXPECT_EQ(ParseCount(text, 10), std::nullopt) << text;
  }
}

TEST(QuantityTest, DurationsNeedAUnit) {
  EXPECT_EQ(ParseDuration("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(ParseDuration("10s"), absl::Seconds(10));
  EXPECT_EQ(ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(ParseDuration("2h"), absl::Hours(2));
  EXPECT_EQ(ParseDuration("7d"), absl::Hours(168));
  EXPECT_EQ(ParseDuration("0s"), absl::ZeroDuration());
  for (const std::string_view text : {"", "10", "s", "1.5s", "-1s", "1 s",
                                      "10S", "36501d", "99999999999999999h"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(QuantityTest, SizesArePowersOf1024) {
  EXPECT_EQ(ParseSize("512"), 512u);
  EXPECT_EQ(ParseSize("64k"), 65536u);
  EXPECT_EQ(ParseSize("512M"), uint64_t{512} << 20);
  EXPECT_EQ(ParseSize("2G"), uint64_t{2} << 30);
  for (const std::string_view text : {"", "k", "1T", "1kb", "9999999999G"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
}

TEST(QuantityTest, RatesAreACountInATime) {
  EXPECT_EQ(ParseRate("200/s"), (Rate{200, absl::Seconds(1)}));
  EXPECT_EQ(ParseRate("10/m"), (Rate{10, absl::Minutes(1)}));
  for (const std::string_view text : {"", "200", "/s", "0/s", "1/ms", "1/x"}) {
    EXPECT_EQ(ParseRate(text), std::nullopt) << text;
  }
}

TEST(QuantityTest, SignalsByNameAndNumber) {
  EXPECT_EQ(ParseSignal("TERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("SIGINT"), SIGINT);
  EXPECT_EQ(ParseSignal("quit"), SIGQUIT);
  EXPECT_EQ(ParseSignal("15"), SIGTERM);
  for (const std::string_view text : {"", "STOP", "SIG", "0", "19", "999"}) {
    EXPECT_EQ(ParseSignal(text), std::nullopt) << text;
  }
}

TEST(QuantityTest, ModesAreOctalPermissionBits) {
  EXPECT_EQ(ParseMode("0660"), 0660u);
  EXPECT_EQ(ParseMode("600"), 0600u);
  for (const std::string_view text : {"", "60", "0668", "4755", "00660"}) {
    EXPECT_EQ(ParseMode(text), std::nullopt) << text;
  }
}

TEST(QuantityTest, NetworksBecomeCanonical) {
  EXPECT_EQ(ParseCidr("10.1.2.3/8"), "10.0.0.0/8");
  EXPECT_EQ(ParseCidr("192.168.1.7"), "192.168.1.7/32");
  EXPECT_EQ(ParseCidr("2001:DB8::1/32"), "2001:db8::/32");
  EXPECT_EQ(ParseCidr("0.0.0.0/0"), "0.0.0.0/0");
  for (const std::string_view text : {"", "10.0.0/8", "10.0.0.0/33", "::/129",
                                      "10.0.0.0/", "host", "10.0.0.0/8/8"}) {
    EXPECT_EQ(ParseCidr(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace apm::config
