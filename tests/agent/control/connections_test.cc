#include "agent/control/connections.h"

#include <sys/socket.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

Peer Uid(uid_t uid) {
  Peer peer;
  peer.uid = uid;
  peer.gid = uid;
  return peer;
}

std::string NameOf(const UniqueFd& fd) { return absl::StrCat("fd:", fd.get()); }

class ConnectionsTest : public ::testing::Test {
 protected:
  // One end of a new socket pair; the other is closed, which nobody minds.
  absl::StatusOr<UniqueFd> Admit(uid_t uid, bool admitted) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd other(ends[1]);
    return connections_.Admit(UniqueFd(ends[0]), Uid(uid), admitted);
  }

  Connections connections_;
};

TEST_F(ConnectionsTest, FindsThePeerByTheNameThatGrpcGives) {
  const UniqueFd fd = Admit(1001, true).value();
  EXPECT_EQ(connections_.Find(NameOf(fd)), Uid(1001));
}

TEST_F(ConnectionsTest, FindsNobodyBehindOtherNames) {
  const UniqueFd fd = Admit(0, true).value();
  for (const std::string& name :
       {std::string("unknown"), std::string("fd:"), std::string("fd:-1"),
        std::string("unix:"), NameOf(fd) + "0", NameOf(fd) + " "}) {
    EXPECT_EQ(connections_.Find(name), std::nullopt) << name;
  }
}

TEST_F(ConnectionsTest, AStrangerHasSixteenConnectionsAndNoMore) {
  std::vector<UniqueFd> open;
  for (size_t i = 0; i < kMaxConnectionsOfStranger; ++i) {
    open.push_back(Admit(1001, false).value());
  }
  EXPECT_THAT(Admit(1001, false),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Admit(1002, false), IsOk());
  open.pop_back();
  EXPECT_THAT(Admit(1001, false), IsOk());
}

TEST_F(ConnectionsTest, StrangersCannotTakeEveryPlace) {
  std::vector<UniqueFd> open;
  for (size_t i = 0; i < kMaxConnectionsOfStrangers; ++i) {
    open.push_back(Admit(static_cast<uid_t>(100'000 + i), false).value());
  }
  EXPECT_THAT(Admit(99'999, false),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Admit(0, true), IsOk());
}

TEST_F(ConnectionsTest, ThereIsALimitForAll) {
  std::vector<UniqueFd> open;
  for (size_t i = 0; i < kMaxConnections; ++i) {
    open.push_back(Admit(0, true).value());
  }
  EXPECT_THAT(Admit(0, true), StatusIs(absl::StatusCode::kResourceExhausted));
}

// A call of the first peer may still be on its way when he has gone.
TEST_F(ConnectionsTest, ANumberIsNotGivenToSomebodyElse) {
  std::string stale;
  {
    const UniqueFd strangers = Admit(1001, false).value();
    stale = NameOf(strangers);
  }
  std::vector<UniqueFd> open;
  for (int i = 0; i < 50; ++i) open.push_back(Admit(0, true).value());
  EXPECT_EQ(connections_.Find(stale)->uid, 1001U);
}

TEST_F(ConnectionsTest, ANumberIsReusedForTheSameUser) {
  const int first = Admit(1001, true).value().get();
  EXPECT_EQ(Admit(1001, true).value().get(), first);
}

TEST_F(ConnectionsTest, AUserWithOtherGroupsIsSomebodyElse) {
  int ends[2];
  const int first = Admit(1001, true).value().get();
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd other(ends[1]);
  Peer peer = Uid(1001);
  peer.groups = {50};
  EXPECT_NE(connections_.Admit(UniqueFd(ends[0]), peer, true)->get(), first);
}

}  // namespace
}  // namespace apm::control
