#include "base/os/unix_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"
#include "base/os/user_name.h"
#include "tests/testing/status_matchers.h"

namespace apm {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

// A name that no other test process has.
std::string AbstractName() {
  return absl::StrCat("@unix-socket-test-", getpid());
}

UniqueFd Listen(const UnixAddress& address) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(socket.get(), address.get(), address.length), 0);
  EXPECT_EQ(listen(socket.get(), 1), 0);
  return socket;
}

TEST(UnixAddressTest, AnAbstractNameHasNoTerminatingNul) {
  const UnixAddress address = ParseUnixAddress("@apm").value();
  EXPECT_EQ(address.length, sizeof(sa_family_t) + 4);
  EXPECT_EQ(address.address.sun_path[0], '\0');
  EXPECT_TRUE(address.abstract());
}

TEST(UnixAddressTest, TakesAPathOf107BytesAndRefuses108) {
  const std::string longest = "/" + std::string(106, 'a');
  EXPECT_THAT(ParseUnixAddress(longest), IsOk());
  EXPECT_THAT(ParseUnixAddress(longest + "a"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(UnixAddressTest, RefusesWhatIsNoName) {
  for (const char* text : {"", "@", "run/apm.sock", "./apm.sock"}) {
    EXPECT_THAT(ParseUnixAddress(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(UnixSocketTest, TheClientLearnsWhoListens) {
  const UnixAddress address = ParseUnixAddress(AbstractName()).value();
  const UniqueFd listener = Listen(address);
  const auto client = ConnectUnix(address, absl::Seconds(1));
  ASSERT_THAT(client, IsOk());
  const auto peer = PeerCredentials(client->get());
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(peer->uid, geteuid());
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(DescribePeer(*peer),
            absl::StrCat("uid ", geteuid(), " (", UserName(geteuid()),
                         "), pid ", getpid()));
}

TEST(UnixSocketTest, NobodyListensIsUnavailable) {
  EXPECT_THAT(
      ConnectUnix(ParseUnixAddress(AbstractName()).value(), absl::Seconds(1)),
      StatusIs(absl::StatusCode::kUnavailable));
}

TEST(UnixSocketTest, NoSuchPathIsNotFound) {
  EXPECT_THAT(ConnectUnix(ParseUnixAddress("/nonexistent/apm.sock").value(),
                          absl::Seconds(1)),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(UnixSocketTest, GivesUpWhenTheListenerDoesNotAccept) {
  const UnixAddress address = ParseUnixAddress(AbstractName()).value();
  const UniqueFd listener = Listen(address);
  const auto first = ConnectUnix(address, absl::Seconds(1));
  const auto second = ConnectUnix(address, absl::Seconds(1));
  EXPECT_THAT(ConnectUnix(address, absl::Milliseconds(10)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(UserNameTest, FindsRootByUidAndByName) {
  EXPECT_EQ(UserName(0), "root");
  EXPECT_EQ(FindUser("root"), 0U);
  EXPECT_EQ(FindUser("no-such-user-here"), std::nullopt);
}

}  // namespace
}  // namespace apm
