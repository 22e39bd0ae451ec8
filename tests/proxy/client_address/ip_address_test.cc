#include "proxy/client_address/ip_address.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace apm::client_address {
namespace {

std::string Canonical(const std::string& text) {
  const std::optional<IpAddress> address = IpAddress::Parse(text);
  return address ? address->ToString() : "refused";
}

TEST(IpAddressTest, FormatsV6AsRfc5952) {
  EXPECT_EQ(Canonical("2001:0DB8:0000:0000:0000:0000:0002:0001"),
            "2001:db8::2:1");
  EXPECT_EQ(Canonical("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(Canonical("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");
  EXPECT_EQ(Canonical("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  EXPECT_EQ(Canonical("0:0:0:0:0:0:0:0"), "::");
  EXPECT_EQ(Canonical("1::"), "1::");
  EXPECT_EQ(Canonical("::1"), "::1");
  EXPECT_EQ(Canonical("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
}

TEST(IpAddressTest, FoldsMappedV6ToV4) {
  const std::optional<IpAddress> mapped = IpAddress::Parse("::ffff:c000:201");
  ASSERT_TRUE(mapped.has_value());
  EXPECT_TRUE(mapped->is_v4());
  EXPECT_EQ(mapped, IpAddress::Parse("192.0.2.1"));
  EXPECT_EQ(mapped->ToString(), "192.0.2.1");
  const std::array<uint8_t, 4> bytes = {192, 0, 2, 1};
  EXPECT_EQ(IpAddress::FromV4(bytes), *mapped);
  EXPECT_EQ(IpAddress::FromV6(mapped->bytes()), *mapped);
}

TEST(IpAddressTest, OrdersByBytes) {
  EXPECT_LT(*IpAddress::Parse("10.0.0.2"), *IpAddress::Parse("10.0.0.10"));
}

// inet_pton is the slow, known oracle; it too refuses leading zeros in quads.
bool OracleAccepts(const std::string& text) {
  std::array<uint8_t, 16> bytes;
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

TEST(IpAddressTest, AgreesWithInetPtonOnRandomText) {
  std::mt19937 random(1);
  const std::string letters = "01259afF:::::....";
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    const size_t size = 1 + random() % 16;
    while (text.size() < size)
      text.push_back(letters[random() % letters.size()]);
    ASSERT_EQ(IpAddress::Parse(text).has_value(), OracleAccepts(text)) << text;
  }
}

TEST(IpAddressTest, AgreesWithInetPtonOnTheTextOfRandomAddresses) {
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) {
    std::array<uint8_t, 16> bytes;
    for (size_t at = 0; at < bytes.size(); at += 2) {
      const bool zero = random() % 2 == 0;  // So that there are gaps.
      bytes[at] = zero ? 0 : static_cast<uint8_t>(random());
      bytes[at + 1] = zero ? 0 : static_cast<uint8_t>(random());
    }
    const IpAddress address = IpAddress::FromV6(bytes);
    const std::string text = address.ToString();
    ASSERT_EQ(IpAddress::Parse(text), address) << text;
    if (address.is_v4()) continue;
    std::array<uint8_t, 16> oracle;
    ASSERT_EQ(inet_pton(AF_INET6, text.c_str(), oracle.data()), 1) << text;
    ASSERT_EQ(oracle, bytes) << text;
  }
}

}  // namespace
}  // namespace apm::client_address
