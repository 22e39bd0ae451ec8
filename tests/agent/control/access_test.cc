#include "agent/control/access.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

constexpr uid_t kOwner = 1000;
constexpr uid_t kAlice = 1001;
constexpr gid_t kAdmins = 50;

std::string NameOf(uid_t uid) { return uid == kAlice ? "alice" : "somebody"; }

Peer Local(uid_t uid) {
  return {.uid = uid,
          .gid = uid,
          .pid = 77,
          .groups = {uid},
          .namespaces = Namespaces::kOurs};
}

class AccessTest : public ::testing::Test {
 protected:
  absl::Status Ask(Method method, const Peer& peer) const {
    return Authorise(method, peer, policy_, NameOf);
  }

  AccessPolicy policy_{.owner = kOwner,
                       .allow_groups = {{kAdmins, "apm-admin"}}};
};

TEST_F(AccessTest, RootAndTheOwnerMayDoEverything) {
  for (const uid_t uid : {uid_t{0}, kOwner}) {
    EXPECT_EQ(RoleOf(Local(uid), policy_), Role::kAdmin);
    EXPECT_THAT(Ask(Method::kShutdown, Local(uid)), IsOk());
    EXPECT_THAT(Ask(Method::kCreateWorker, Local(uid)), IsOk());
  }
}

TEST_F(AccessTest, TellsAStrangerWhoHeIsAndWhatToAskFor) {
  policy_.owner = 0;
  const absl::Status refusal = Ask(Method::kListWorkers, Local(kAlice));
  EXPECT_THAT(refusal, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(refusal.message(),
            "user alice (uid 1001) is neither root, the owner (uid 0), nor in "
            "allow_group 'apm-admin'; ask for: usermod -aG apm-admin alice, "
            "then log in again");
}

TEST_F(AccessTest, TellsAStrangerHowAGroupIsAdmittedWhereThereIsNone) {
  policy_.allow_groups.clear();
  EXPECT_THAT(std::string(Ask(Method::kGetStatus, Local(kAlice)).message()),
              HasSubstr("no allow_group is set; to admit a group, write in the "
                        "agent's configuration: daemon { allow_group"));
}

TEST_F(AccessTest, NamesEveryGroupThatWouldDo) {
  policy_.allow_groups.push_back({51, "ops"});
  EXPECT_THAT(std::string(Ask(Method::kGetStatus, Local(kAlice)).message()),
              HasSubstr("nor in allow_group 'apm-admin' or 'ops'; "));
}

TEST_F(AccessTest, AMemberOperatesByPrimaryOrSupplementaryGroup) {
  Peer by_primary = Local(kAlice);
  by_primary.gid = kAdmins;
  Peer by_supplementary = Local(kAlice);
  by_supplementary.groups = {7, kAdmins};
  for (const Peer& peer : {by_primary, by_supplementary}) {
    EXPECT_EQ(RoleOf(peer, policy_), Role::kOperator);
    EXPECT_THAT(Ask(Method::kRestartWorker, peer), IsOk());
    EXPECT_THAT(Ask(Method::kReadLog, peer), IsOk());
    EXPECT_THAT(Ask(Method::kListEvents, peer), IsOk());
    EXPECT_THAT(Ask(Method::kWatchEvents, peer), IsOk());
  }
}

TEST_F(AccessTest, AMemberMayNotEndTheAgent) {
  Peer member = Local(kAlice);
  member.gid = kAdmins;
  EXPECT_THAT(Ask(Method::kShutdown, member),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(AccessTest, AMemberScalesButDoesNotApplyOrUpgrade) {
  Peer member = Local(kAlice);
  member.gid = kAdmins;
  EXPECT_THAT(Ask(Method::kScaleWorker, member), IsOk());
  EXPECT_EQ(Ask(Method::kApplyConfig, member).message(),
            "user alice (uid 1001) may operate workers, but not apply the "
            "configuration; ask root or the owner (uid 1000)");
  EXPECT_THAT(std::string(Ask(Method::kUpgrade, member).message()),
              HasSubstr("but not replace the agent's programs"));
}

TEST_F(AccessTest, AMemberMayCreateOnlyWhereTheAgentCanTakeHisUid) {
  Peer member = Local(kAlice);
  member.gid = kAdmins;
  EXPECT_THAT(Ask(Method::kCreateWorker, member),
              StatusIs(absl::StatusCode::kPermissionDenied));
  policy_.owner = 0;
  EXPECT_THAT(Ask(Method::kCreateWorker, member), IsOk());
}

TEST_F(AccessTest, RootOfAContainerIsNobody) {
  Peer root = Local(0);
  root.namespaces = Namespaces::kForeign;
  EXPECT_EQ(RoleOf(root, policy_), Role::kNone);
  EXPECT_THAT(
      std::string(Ask(Method::kGetStatus, root).message()),
      HasSubstr("is not in the agent's user, pid and mount namespaces"));
}

TEST_F(AccessTest, TheUnmappedUserIsNeverAdmittedNotEvenAsOwner) {
  policy_.owner = kUnmappedUid;
  Peer unmapped = Local(kUnmappedUid);
  unmapped.groups = {kAdmins};
  EXPECT_EQ(RoleOf(unmapped, policy_), Role::kNone);
  EXPECT_THAT(Ask(Method::kGetStatus, unmapped),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace apm::control
