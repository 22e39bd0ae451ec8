#include "agent/listeners/port_holder.h"

#include <optional>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/listen_address.h"

namespace apm::listeners {
namespace {

// Lines of a little-endian machine, as proc_net(5) has them.
constexpr std::string_view kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
    "retrnsmt   uid  timeout inode\n";
constexpr std::string_view kListen3000 =
    "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 "
    "00000000  1001        0 4711 1 0000000062 100 0 0 10 0\n";
constexpr std::string_view kEstablished3000 =
    "   1: 0100007F:0BB8 0100007F:9592 01 00000000:00000000 00:00000000 "
    "00000000  1002        0 4712 1 0000000062 100 0 0 10 0\n";
constexpr std::string_view kWildcard3000 =
    "   2: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 "
    "00000000     0        0 4713 1 0000000062 100 0 0 10 0\n";
constexpr std::string_view kSix3000 =
    "   0: 00000000000000000000000000000000:0BB8 "
    "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 "
    "00000000     0        0 4714 1 0000000062 100 0 0 10 0\n";

config::ListenAddress Address(std::string_view text) {
  return config::ParseListenAddress(text, config::AddressForm::kCommandLine,
                                    "/")
      .value();
}

// The inode found in `text`; 0 if none.
uint64_t Find(const std::string& text, std::string_view address,
              bool six = false) {
  const auto entry = FindPortEntry(text, six, Address(address));
  return entry ? entry->inode : 0;
}

std::string Lines(std::initializer_list<std::string_view> lines) {
  std::string text(kHead);
  for (const std::string_view line : lines) text += line;
  return text;
}

TEST(FindPortEntryTest, FindsTheSamePortAndAddress) {
  const std::string text = Lines({kListen3000});
  EXPECT_EQ(Find(text, "127.0.0.1:3000"), 4711u);
  EXPECT_EQ(Find(text, "127.0.0.1:3001"), 0u);
  EXPECT_EQ(Find(text, "127.0.0.2:3000"), 0u);
  EXPECT_EQ(FindPortEntry(text, false, Address("127.0.0.1:3000"))->uid, 1001u);
}

TEST(FindPortEntryTest, TheWildcardIsInTheWayOfEveryAddressAndBack) {
  EXPECT_EQ(Find(Lines({kWildcard3000}), "127.0.0.2:3000"), 4713u);
  EXPECT_EQ(Find(Lines({kListen3000}), "0.0.0.0:3000"), 4711u);
}

TEST(FindPortEntryTest, PrefersWhoListens) {
  EXPECT_EQ(Find(Lines({kEstablished3000, kListen3000}), "127.0.0.1:3000"),
            4711u);
  EXPECT_EQ(Find(Lines({kEstablished3000}), "127.0.0.1:3000"), 4712u);
}

TEST(FindPortEntryTest, AWildcardOfVersionSixHoldsBothFamilies) {
  EXPECT_EQ(Find(Lines({kSix3000}), "[::1]:3000", true), 4714u);
  EXPECT_EQ(Find(Lines({kSix3000}), "127.0.0.1:3000", true), 4714u);
}

TEST(FindPortEntryTest, SkipsWhatItCannotRead) {
  std::string text(kListen3000);
  for (size_t size = 0; size < text.size(); ++size) {
    Find(text.substr(0, size), "127.0.0.1:3000");
    Find(text.substr(0, size), "[::1]:3000", true);
  }
  EXPECT_EQ(Find(Lines({"garbage\n\n", kListen3000}), "127.0.0.1:3000"), 4711u);
}

}  // namespace
}  // namespace apm::listeners
