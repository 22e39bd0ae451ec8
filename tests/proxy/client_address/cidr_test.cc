#include "proxy/client_address/cidr.h"

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::client_address {
namespace {

using apm::testing::StatusIs;

bool Contains(std::string_view network, std::string_view address) {
  return Cidr::Parse(network)->Contains(*IpAddress::Parse(address));
}

TEST(CidrTest, EndsWhereItsPrefixSays) {
  EXPECT_TRUE(Contains("10.0.0.0/9", "10.127.255.255"));
  EXPECT_FALSE(Contains("10.0.0.0/9", "10.128.0.0"));
  EXPECT_TRUE(Contains("2001:db8::/33", "2001:db8:7fff::"));
  EXPECT_FALSE(Contains("2001:db8::/33", "2001:db8:8000::"));
}

TEST(CidrTest, AnAddressIsANetworkOfOne) {
  EXPECT_TRUE(Contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(Contains("192.0.2.1", "192.0.2.0"));
  EXPECT_TRUE(Contains("::1/128", "::1"));
  EXPECT_TRUE(Contains("192.0.2.1/32", "::ffff:192.0.2.1"));
}

TEST(CidrTest, BitsBehindThePrefixDoNotMatter) {
  EXPECT_TRUE(Contains("10.1.2.3/8", "10.9.9.9"));
}

TEST(CidrTest, AMappedNetworkIsV4) {
  EXPECT_TRUE(Contains("::ffff:10.0.0.0/104", "10.1.2.3"));
}

TEST(CidrTest, APrefixOfZeroHoldsItsFamilyOnly) {
  EXPECT_TRUE(Contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("::/0", "2001:db8::1"));
  EXPECT_FALSE(Contains("::/0", "10.0.0.1"));
}

TEST(CidrTest, RefusesWhatIsNoNetwork) {
  for (std::string_view text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
        "10.0.0.0/8/8", "10.0.0/8", "::/129", "::/1000", "unix", "all"}) {
    EXPECT_THAT(Cidr::Parse(text).status(),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace apm::client_address
