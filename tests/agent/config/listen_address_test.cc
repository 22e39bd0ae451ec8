#include "agent/config/listen_address.h"

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::config {
namespace {

using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

// The canonical place of `text`, or the message of the error.
std::string Parse(std::string_view text,
                  AddressForm form = AddressForm::kConfigFile) {
  const auto address = ParseListenAddress(text, form, "/srv/app");
  return address.ok() ? FormatAddress(*address)
                      : std::string(address.status().message());
}

std::string OnCommandLine(std::string_view text) {
  return Parse(text, AddressForm::kCommandLine);
}

ListenAddress Must(std::string_view text) {
  return ParseListenAddress(text, AddressForm::kConfigFile, "/srv/app").value();
}

TEST(ListenAddressTest, ReadsTcpOfBothFamilies) {
  EXPECT_EQ(Parse("http://127.0.0.1:3000"), "127.0.0.1:3000");
  EXPECT_EQ(Parse("ws://[::1]:3001"), "[::1]:3001");
  EXPECT_EQ(Parse("http://[0:0::0:1]:0"), "[::1]:0");
  EXPECT_EQ(Parse("http://127.0.0.1:3000/"), "127.0.0.1:3000");
}

TEST(ListenAddressTest, LocalhostIsAnAddressAndOtherNamesAreNot) {
  EXPECT_EQ(Parse("http://localhost:80"), "127.0.0.1:80");
  EXPECT_THAT(Parse("http://example.org:80"), HasSubstr("use an IP address"));
}

TEST(ListenAddressTest, ReadsUnixPathsAndNames) {
  EXPECT_EQ(Parse("http://unix:./a.sock"), "unix:/srv/app/a.sock");
  EXPECT_EQ(Parse("ws://unix:/run//x/./a.sock"), "unix:/run/x/a.sock");
  EXPECT_EQ(Parse("unix:a.sock"), "unix:/srv/app/a.sock");
  EXPECT_EQ(Parse("unix:@app"), "unix:@app");
}

TEST(ListenAddressTest, NoSchemeIsHttp) {
  EXPECT_TRUE(Must("unix:a.sock").http);
  EXPECT_FALSE(Must("unix:a.sock").ws);
  EXPECT_FALSE(Must("ws://unix:a.sock").http);
}

TEST(ListenAddressTest, TheCommandLineTakesBareForms) {
  EXPECT_EQ(OnCommandLine("127.0.0.1:3000"), "127.0.0.1:3000");
  EXPECT_EQ(OnCommandLine("localhost:80"), "127.0.0.1:80");
  EXPECT_EQ(OnCommandLine("/run/a:b.sock"), "unix:/run/a:b.sock");
  EXPECT_EQ(OnCommandLine("./a.sock"), "unix:/srv/app/a.sock");
  EXPECT_EQ(OnCommandLine("a.sock"), "unix:/srv/app/a.sock");
  EXPECT_EQ(OnCommandLine("@app"), "unix:@app");
}

TEST(ListenAddressTest, AFileNeedsTheScheme) {
  EXPECT_THAT(Parse("127.0.0.1:3000"), HasSubstr("http://127.0.0.1:3000"));
  EXPECT_THAT(Parse("./a.sock"), HasSubstr("http://unix:./a.sock"));
}

TEST(ListenAddressTest, SchemesOfLaterVersionsAreUnimplemented) {
  for (const std::string scheme : {"https", "wss", "tcp", "tls"}) {
    EXPECT_THAT(ParseListenAddress(scheme + "://127.0.0.1:1",
                                   AddressForm::kCommandLine, "/"),
                StatusIs(absl::StatusCode::kUnimplemented));
  }
}

TEST(ListenAddressTest, RefusesWhatIsNoPort) {
  for (const std::string_view text :
       {"http://127.0.0.1", "http://127.0.0.1:", "http://127.0.0.1:65536",
        "http://127.0.0.1:-1", "http://127.0.0.1:8o", "http://[::1]",
        "http://[::1:80", "http://", "http://[]:80", "unix:", "unix:/",
        "unix:@", ""}) {
    EXPECT_THAT(ParseListenAddress(text, AddressForm::kConfigFile, "/"),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(ListenAddressTest, APathMayHave107BytesAndNoMore) {
  const std::string longest =
      "unix:/" + std::string(kMaxUnixPathBytes - 1, 'x');
  EXPECT_EQ(Parse(longest), longest);
  EXPECT_THAT(Parse(longest + "x"), HasSubstr("has 108 bytes"));
}

TEST(ListenAddressTest, ClashIsWhatTheKernelWouldRefuse) {
  EXPECT_TRUE(Clash(Must("http://127.0.0.1:80"), Must("ws://127.0.0.1:80")));
  EXPECT_TRUE(Clash(Must("http://0.0.0.0:80"), Must("http://10.0.0.1:80")));
  EXPECT_TRUE(Clash(Must("unix:a"), Must("ws://unix:./a")));
  EXPECT_FALSE(Clash(Must("http://127.0.0.1:80"), Must("http://127.0.0.1:81")));
  EXPECT_FALSE(Clash(Must("http://127.0.0.1:80"), Must("http://127.0.0.2:80")));
  EXPECT_FALSE(Clash(Must("http://0.0.0.0:80"), Must("http://[::]:80")));
  EXPECT_FALSE(Clash(Must("http://127.0.0.1:0"), Must("http://127.0.0.1:0")));
  EXPECT_FALSE(Clash(Must("unix:/a"), Must("unix:@/a")));
}

}  // namespace
}  // namespace apm::config
