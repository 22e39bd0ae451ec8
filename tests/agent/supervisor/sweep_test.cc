// A stop leaves nothing behind, and a successor knows what was about to be.

#include <signal.h>

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/supervisor/fake_world.h"

namespace apm::supervisor {
namespace {

using ::apm::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Phase = ProcessMemo::Phase;

class SweepTest : public SupervisorTest {
 protected:
  SweepTest() { sweeps_at_once_ = false; }
};

TEST_F(SweepTest, AStopIsDoneWhenItIsSwept) {
  const InstanceKey key = Up(Plain())[0];
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  Exit(key, 0);
  EXPECT_THAT(processes_.sweeping, ElementsAre(key));
  EXPECT_EQ(State(), InstanceState::kStopping);
  EXPECT_TRUE(stop.open());
  AnswerSweeps();
  EXPECT_EQ(State(), InstanceState::kStopped);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(observer_.reasons.back(), "exited with status 0");
}

TEST_F(SweepTest, NothingIsKilledWhileTheSweepTakesItsTime) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  Exit(key, 0);
  timers_.AdvanceBy(absl::Minutes(5));
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_EQ(timers_.pending(), 0U);
}

TEST_F(SweepTest, ARestartStartsWhenItIsSwept) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Restart(kWeb, [](absl::Status) {});
  Exit(key, 0);
  EXPECT_EQ(Launches(), 1U);
  AnswerSweeps();
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(SweepTest, ARestartAfterACrashDoesNotWait) {
  const InstanceKey key = Up(Plain())[0];
  processes_.acts.clear();
  Exit(key, 1);
  EXPECT_THAT(processes_.acts, ElementsAre("note web/0", "note 1", "note 2",
                                           "launch 2", "sweep 1"));
}

TEST_F(SweepTest, AStopWaitsForTheSweepOfACrashToo) {
  const InstanceKey crashed = Up(Plain())[0];
  Exit(crashed, 1);
  Spawn(Latest());
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  Exit(Latest(), 0);
  supervisor_.OnSwept(Latest(), {});
  EXPECT_EQ(State(), InstanceState::kStopped);
  EXPECT_TRUE(stop.open());
  supervisor_.OnSwept(crashed, {});
  EXPECT_THAT(stop.status(), IsOk());
}

TEST_F(SweepTest, ADeleteWaitsForIt) {
  const InstanceKey key = Up(Plain())[0];
  Outcome deletion;
  supervisor_.Delete("web", deletion.Callback());
  Exit(key, 0);
  EXPECT_TRUE(supervisor_.Find("web").has_value());
  AnswerSweeps();
  EXPECT_FALSE(supervisor_.Find("web").has_value());
  EXPECT_THAT(deletion.status(), IsOk());
}

TEST_F(SweepTest, AReloadGoesOnWhenTheOldProcessIsSwept) {
  const std::vector<InstanceKey> old = Up(Pipe("web", 2));
  supervisor_.Reload(kWeb, [](absl::Status) {});
  Spawn(Latest());
  supervisor_.OnHello(Latest(), "");
  supervisor_.OnDrained(old[0]);
  Exit(old[0], 0);
  EXPECT_EQ(Launches(), 3U);
  AnswerSweeps();
  EXPECT_EQ(Launches(), 4U);
}

TEST_F(SweepTest, ALaunchThatFailsLeavesNothingToSweep) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  SpawnFails(Latest());
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_THAT(processes_.sweeping, IsEmpty());
}

TEST_F(SweepTest, AProcessThatNobodyKnowsIsSweptToo) {
  const InstanceKey stranger{"web", 0, 99};
  Exit(stranger, 0);
  EXPECT_THAT(processes_.sweeping, ElementsAre(stranger));
  AnswerSweeps();
}

TEST_F(SweepTest, WhoHadToBeKilledIsNamed) {
  const InstanceKey key = Up(Plain())[0];
  Exit(key, 1);
  supervisor_.OnSwept(key, {});
  EXPECT_THAT(observer_.survivors, IsEmpty());
  const Survivor sleeper{77, "sleep", "had started a session of its own"};
  supervisor_.OnSwept({"gone", 0, 5}, {{sleeper}});
  EXPECT_THAT(observer_.survivors, ElementsAre(sleeper));
}

// ---- Notes before acts ----

TEST_F(SweepTest, ALaunchIsNotedBeforeItIsMade) {
  Up(Plain());
  EXPECT_THAT(processes_.acts,
              ElementsAre("note web/0", "note 1", "launch 1", "note 1"));
  EXPECT_EQ(processes_.memos[1].phase, Phase::kReady);
  EXPECT_EQ(processes_.memos[1].ready, clock_.Now());
}

TEST_F(SweepTest, AStopIsNotedBeforeItsSignalAndTheSignalAfterwards) {
  Up(Plain());
  processes_.acts.clear();
  supervisor_.Stop(kWeb, [](absl::Status) {});
  EXPECT_THAT(processes_.acts,
              ElementsAre("note 1", "signal 1", "signal 1", "note 1"));
  EXPECT_EQ(processes_.memos[1].phase, Phase::kStopping);
  EXPECT_TRUE(processes_.memos[1].signalled);
}

TEST_F(SweepTest, AReadyWorkerIsNotedBeforeTheProxyHearsOfIt) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  Spawn(Latest());
  supervisor_.OnHello(Latest(), "node/1.0");
  EXPECT_EQ(processes_.memos[1].phase, Phase::kReady);
  EXPECT_EQ(processes_.memos[1].connector, "node/1.0");
}

TEST_F(SweepTest, ARestIsNotedWithWhatLedToIt) {
  const InstanceKey key = Up(Plain())[0];
  Exit(key, 1);
  Spawn(Latest());
  Exit(Latest(), 3);
  const InstanceMemo& memo = processes_.instance_memos[{"web", 0}];
  EXPECT_EQ(memo.state, InstanceState::kBackoff);
  EXPECT_EQ(memo.restarts, 1U);
  EXPECT_EQ(memo.last_exit->code, 3);
  EXPECT_EQ(memo.pacer.ends.size(), 2U);
  EXPECT_EQ(memo.next_retry, clock_.Now() + absl::Milliseconds(100));
  EXPECT_EQ(memo.problem, "exited with status 3 before it was ready");
  EXPECT_EQ(processes_.memos[2].phase, Phase::kEnded);
}

TEST_F(SweepTest, AReplacementLeavesTheHistoryAlone) {
  Up(Pipe());
  const InstanceMemo before = processes_.instance_memos[{"web", 0}];
  supervisor_.Reload(kWeb, [](absl::Status) {});
  EXPECT_EQ(processes_.memos[2].role, Role::kReplacement);
  Spawn(Latest());
  Exit(Latest(), 1);
  EXPECT_EQ((processes_.instance_memos[{"web", 0}]), before);
}

TEST_F(SweepTest, AtNoTimeAreTwoPrincipalsNoted) {
  Up(Pipe());
  supervisor_.Reload(kWeb, [](absl::Status) {});
  Spawn(Latest());
  processes_.acts.clear();
  supervisor_.OnHello(Latest(), "");
  // The new one is ready; the old one stops; the new one has its place.
  EXPECT_THAT(processes_.acts,
              ElementsAre("note 2", "note 1", "note 2", "note web/0"));
  EXPECT_EQ(processes_.memos[1].role, Role::kOutgoing);
  EXPECT_EQ(processes_.memos[2].role, Role::kPrincipal);
}

}  // namespace
}  // namespace apm::supervisor
