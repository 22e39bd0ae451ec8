// An agent was killed; this is its successor's supervisor.

#include <signal.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/supervisor/memo.h"
#include "tests/agent/supervisor/fake_world.h"

namespace apm::supervisor {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Phase = ProcessMemo::Phase;

constexpr uint64_t kOld = 7;  // Generations of the predecessor's.
constexpr uint64_t kNewer = 8;
constexpr uint64_t kMine = 1000;  // And the first one of this supervisor.

class AdoptionTest : public SupervisorTest {
 protected:
  AdoptionTest() : SupervisorTest(kMine) {}

  static ProcessMemo Memo(Phase phase, Role role = Role::kPrincipal) {
    ProcessMemo memo;
    memo.phase = phase;
    memo.role = role;
    return memo;
  }
  static InstanceKey Key(uint64_t generation, uint32_t instance = 0) {
    return {"web", instance, generation};
  }
  void Add(const WorkerSpec& spec) {
    ASSERT_THAT(supervisor_.Add(spec), IsOk());
  }
  void Adopt(const InstanceKey& key, std::optional<ProcessMemo> memo) {
    ASSERT_THAT(
        supervisor_.Adopt({key, kPid + static_cast<pid_t>(key.generation),
                           clock_.Now() - absl::Hours(2), std::move(memo)}),
        IsOk());
  }
  void AdoptInApmExec(const InstanceKey& key, ProcessMemo memo) {
    ASSERT_THAT(supervisor_.Adopt({key, 0, clock_.Now(), std::move(memo)}),
                IsOk());
  }
  void Rests(InstanceMemo memo, uint32_t instance = 0) {
    ASSERT_THAT(supervisor_.Restore("web", instance, memo), IsOk());
  }
  void Resume() { ASSERT_THAT(supervisor_.Resume(kWeb), IsOk()); }
  bool IsTold(const InstanceKey& key) { return !SignalsTo(key).empty(); }

  static constexpr pid_t kPid = 500;
};

// ---- One process ----

TEST_F(AdoptionTest, AReadyProcessIsReadyAndNotStartedAgain) {
  Add(Pipe());
  ProcessMemo memo = Memo(Phase::kReady);
  memo.connector = "node/1.0";
  Adopt(Key(kOld), memo);
  Resume();
  EXPECT_EQ(Launches(), 0U);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);
  EXPECT_EQ(Instance0().pid, 507);
  EXPECT_EQ(Instance0().generation, kOld);
  EXPECT_EQ(Instance0().uptime, absl::Hours(2));
  EXPECT_EQ(Instance0().connector, "node/1.0");
  EXPECT_THAT(observer_.changes, IsEmpty());
}

TEST_F(AdoptionTest, TheProxyHearsAgainThatItIsReadyButNotOfItsPipes) {
  Add(Pipe());
  Adopt(Key(kOld), Memo(Phase::kReady));
  EXPECT_THAT(traffic_.calls, ElementsAre("ready 7"));
  Exit(Key(kOld), 1);
  EXPECT_EQ(traffic_.calls[1], "detach 7");
}

TEST_F(AdoptionTest, TheKeeperRepeatsThatItWasSpawnedInVain) {
  Add(Pipe());
  Adopt(Key(kOld), Memo(Phase::kReady));
  Spawn(Key(kOld));
  EXPECT_THAT(traffic_.calls, ElementsAre("ready 7"));
  EXPECT_EQ(Instance0().uptime, absl::Hours(2));
}

TEST_F(AdoptionTest, AnEndThatNobodySawIsJudgedAsEver) {
  Add(Plain());
  Adopt(Key(kOld), Memo(Phase::kReady));
  Resume();
  Exit(Key(kOld), 1);
  EXPECT_EQ(Latest().generation, kMine);
  EXPECT_EQ(Instance0().restarts, 1U);
  EXPECT_EQ(Instance0().problem, "exited with status 1");
}

TEST_F(AdoptionTest, TimeReadyBeforeTheAdoptionCounts) {
  Add(Plain());
  InstanceMemo history;
  history.state = InstanceState::kReady;
  history.pacer = {.in_a_row = 9, .looping = true, .ends = {}};
  Rests(history);
  ProcessMemo memo = Memo(Phase::kReady);
  memo.ready = clock_.Now() - absl::Seconds(30);
  Adopt(Key(kOld), memo);
  Exit(Key(kOld), 1);
  EXPECT_EQ(State(), InstanceState::kStarting);  // At once: it had been good.
}

TEST_F(AdoptionTest, AStartingProcessHasItsTimeAgain) {
  Add(Pipe());
  Adopt(Key(kOld), Memo(Phase::kStarting));
  Resume();
  EXPECT_EQ(State(), InstanceState::kStarting);
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_THAT(traffic_.calls, ElementsAre("ready 7"));
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, OneThatIsStillInApmExecIsAttachedWhenItIsSpawned) {
  Add(Pipe());
  AdoptInApmExec(Key(kOld), Memo(Phase::kStarting));
  Resume();
  EXPECT_THAT(traffic_.calls, IsEmpty());
  Spawn(Key(kOld));
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 7"));
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, ALaunchThatIsNotAnsweredTimesOut) {
  Add(Plain());
  AdoptInApmExec(Key(kOld), Memo(Phase::kStarting));
  timers_.AdvanceBy(absl::Seconds(60));
  EXPECT_EQ(State(), InstanceState::kUnready);
}

TEST_F(AdoptionTest, AStopGoesOnWithItsDrain) {
  Add(Pipe());
  ProcessMemo memo = Memo(Phase::kStopping);
  memo.stop_reason = StopReason::kReplaced;
  Adopt(Key(kOld), memo);
  EXPECT_EQ(State(), InstanceState::kStopping);
  EXPECT_THAT(traffic_.calls, ElementsAre("drain 7"));
  EXPECT_THAT(traffic_.drain_reasons, ElementsAre(StopReason::kReplaced));
  supervisor_.OnDrained(Key(kOld));
  EXPECT_THAT(SignalsTo(Key(kOld)), ElementsAre(SIGTERM, SIGCONT));
}

TEST_F(AdoptionTest, AStopSignalIsNotSentTwiceAndItsTimeRunsAgain) {
  Add(Pipe());
  ProcessMemo memo = Memo(Phase::kStopping);
  memo.signalled = true;
  Adopt(Key(kOld), memo);
  EXPECT_FALSE(IsTold(Key(kOld)));
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_THAT(SignalsTo(Key(kOld)), ElementsAre(SIGKILL));
  EXPECT_THAT(observer_.killed, ElementsAre(507));
}

TEST_F(AdoptionTest, WhatWasBeingStoppedStartsAfterwardsIfItIsWanted) {
  Add(Plain());
  Adopt(Key(kOld), Memo(Phase::kStopping));
  Resume();
  EXPECT_EQ(Launches(), 0U);
  Exit(Key(kOld), 0);
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, WhatIsNotWantedStaysStopped) {
  Add(Plain());
  Adopt(Key(kOld), Memo(Phase::kStopping));
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  Exit(Key(kOld), 0);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, AnUnreadyProcessIsStillReplaced) {
  Add(Pipe());
  ProcessMemo memo = Memo(Phase::kUnready);
  memo.problem = "closed its stdin or stdout while it ran";
  Adopt(Key(kOld), memo);
  Resume();
  EXPECT_THAT(SignalsTo(Key(kOld)), ElementsAre(SIGTERM, SIGCONT));
  Exit(Key(kOld), 0);
  EXPECT_EQ(Launches(), 1U);
  EXPECT_THAT(Instance0().problem, HasSubstr("closed its stdin"));
}

TEST_F(AdoptionTest, ATornLinkIsStillNobodysFault) {
  Add(Pipe());
  ProcessMemo memo = Memo(Phase::kUnready);
  memo.torn = true;
  Adopt(Key(kOld), memo);
  EXPECT_THAT(SignalsTo(Key(kOld)), ElementsAre(SIGKILL));
  KilledBy(Key(kOld), SIGKILL);
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_THAT(observer_.killed, IsEmpty());
}

TEST_F(AdoptionTest, AnEndThatWasJudgedIsSweptAndNotJudgedAgain) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  Add(spec);
  InstanceMemo done;
  done.state = InstanceState::kExited;
  done.generation = kOld;
  Rests(done);
  Adopt(Key(kOld), Memo(Phase::kEnded));
  Resume();
  sweeps_at_once_ = false;
  Exit(Key(kOld), 0);
  EXPECT_THAT(processes_.sweeping, ElementsAre(Key(kOld)));
  EXPECT_EQ(Launches(), 0U);
  Outcome stop;  // Waits for it all the same.
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_TRUE(stop.open());
  AnswerSweeps();
  EXPECT_THAT(stop.status(), IsOk());
}

TEST_F(AdoptionTest, AProcessWithoutAMemoIsDrainedAndReplaced) {
  Add(Pipe());
  Adopt(Key(kOld), std::nullopt);
  Resume();
  EXPECT_THAT(traffic_.calls, ElementsAre("drain 7"));
  EXPECT_EQ(Launches(), 0U);  // Not beside it.
  supervisor_.OnDrained(Key(kOld));
  Exit(Key(kOld), 0);
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, AnInstanceAboveTheConfiguredNumberIsDrained) {
  Add(Pipe("web", 2));
  Adopt(Key(kOld, 4), Memo(Phase::kReady));
  EXPECT_EQ(traffic_.calls.back(), "drain 7");
  EXPECT_EQ(State(4), InstanceState::kStopping);
  supervisor_.OnDrained(Key(kOld, 4));
  Exit(Key(kOld, 4), 0);
  EXPECT_EQ(supervisor_.Find("web")->instances.size(), 2U);
  EXPECT_EQ(observer_.removed.front(), "web/4");
}

TEST_F(AdoptionTest, AnInstanceNumberThatCannotBeIsRefused) {
  Add(Plain());
  EXPECT_THAT(supervisor_.Adopt({Key(kOld, kMaxInstances), 1, clock_.Now(),
                                 Memo(Phase::kReady)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(supervisor_.Adopt({Key(kOld, kMaxInstances - 1), 1, clock_.Now(),
                                 Memo(Phase::kReady)}),
              IsOk());
}

TEST_F(AdoptionTest, AWorkerThatIsGoneCanStillBeStoppedAndDeleted) {
  EXPECT_THAT(supervisor_.Adopt({Key(kOld), 1, clock_.Now(), std::nullopt}),
              StatusIs(absl::StatusCode::kNotFound));
  Add(Plain());
  Adopt(Key(kOld), Memo(Phase::kReady));
  Outcome deletion;
  supervisor_.Delete("web", deletion.Callback());
  Exit(Key(kOld), 0);
  EXPECT_THAT(deletion.status(), IsOk());
  EXPECT_THAT(observer_.removed, ElementsAre("web/0"));
}

// ---- Two of one instance ----

TEST_F(AdoptionTest, BesideOneThatIsStoppingTheOtherOneHasThePlace) {
  for (const bool stopping_first : {true, false}) {
    const std::string name = stopping_first ? "a" : "b";
    ASSERT_THAT(supervisor_.Add(Pipe(name)), IsOk());
    const InstanceKey old{name, 0, kOld};
    const InstanceKey fresh{name, 0, kNewer};
    if (stopping_first) Adopt(old, Memo(Phase::kStopping, Role::kOutgoing));
    Adopt(fresh, Memo(Phase::kReady));
    if (!stopping_first) Adopt(old, Memo(Phase::kStopping, Role::kOutgoing));
    ASSERT_THAT(supervisor_.Resume({name, std::nullopt}), IsOk());
    EXPECT_EQ(Instance0(name).generation, kNewer);
    EXPECT_EQ(StateOf(name), WorkerState::kReady);
    Exit(old, 0);
    EXPECT_EQ(StateOf(name), WorkerState::kReady);
  }
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, AReplacementThatWasReadyHasThePlace) {
  for (const bool old_first : {true, false}) {
    const std::string name = old_first ? "a" : "b";
    ASSERT_THAT(supervisor_.Add(Pipe(name)), IsOk());
    const InstanceKey old{name, 0, kOld};
    const InstanceKey fresh{name, 0, kNewer};
    if (old_first) Adopt(old, Memo(Phase::kReady));
    Adopt(fresh, Memo(Phase::kReady, Role::kReplacement));
    if (!old_first) Adopt(old, Memo(Phase::kReady));
    EXPECT_EQ(Instance0(name).generation, kNewer);
    EXPECT_THAT(traffic_.calls, Contains("drain 7"));
    EXPECT_THAT(traffic_.calls, Not(Contains("drain 8")));
    EXPECT_EQ(processes_.memos[kNewer].role, Role::kPrincipal);
    EXPECT_EQ(processes_.memos[kOld].phase, Phase::kStopping);
  }
}

TEST_F(AdoptionTest, AReplacementThatWasNotReadyIsStoppedAndTheOldOneStays) {
  Add(Pipe());
  Adopt(Key(kNewer), Memo(Phase::kStarting, Role::kReplacement));
  Adopt(Key(kOld), Memo(Phase::kReady));
  Resume();
  EXPECT_EQ(Instance0().generation, kOld);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);
  EXPECT_THAT(traffic_.calls, ElementsAre("drain 8", "ready 7"));
  EXPECT_THAT(observer_.reasons,
              ElementsAre("the reload was interrupted by a restart of the "
                          "agent"));
  supervisor_.OnDrained(Key(kNewer));
  Exit(Key(kNewer), 0);
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, AReplacementWithoutAnOldOneIsNotTakenForIt) {
  Add(Pipe());
  Adopt(Key(kNewer), Memo(Phase::kStarting, Role::kReplacement));
  Resume();
  EXPECT_EQ(Launches(), 0U);
  supervisor_.OnDrained(Key(kNewer));
  Exit(Key(kNewer), 0);
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, TheHistoryStaysWithThePlace) {
  Add(Plain());
  InstanceMemo history;
  history.state = InstanceState::kReady;
  history.restarts = 5;
  Rests(history);
  Adopt(Key(kOld), Memo(Phase::kStarting));
  Adopt(Key(kNewer), Memo(Phase::kReady));
  EXPECT_EQ(Instance0().generation, kNewer);
  EXPECT_EQ(Instance0().restarts, 5U);
}

TEST_F(AdoptionTest, AReloadWaitsForWhatAnEarlierOneLeft) {
  Add(Pipe());
  Adopt(Key(kOld), Memo(Phase::kReady));
  Adopt(Key(kNewer), Memo(Phase::kStarting, Role::kReplacement));
  Outcome reload;
  supervisor_.Reload(kWeb, reload.Callback());
  EXPECT_EQ(Launches(), 0U);
  supervisor_.OnDrained(Key(kNewer));
  Exit(Key(kNewer), 0);
  EXPECT_EQ(Launches(), 1U);
}

// ---- No process ----

TEST_F(AdoptionTest, WhatHasNeitherProcessNorMemoIsStarted) {
  Add(Plain());
  Resume();
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, WhatWasAboutToBeLaunchedIsLaunched) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kStarting;
  Rests(memo);
  Resume();
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, AJobThatHasDoneItsWorkIsNotRunAgain) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kExited;
  memo.last_exit = ProcessExit{};
  Rests(memo);
  Resume();
  timers_.AdvanceBy(absl::Hours(1));
  EXPECT_EQ(Launches(), 0U);
  EXPECT_EQ(State(), InstanceState::kExited);
  EXPECT_TRUE(Instance0().last_exit.has_value());
  supervisor_.Start(kWeb, [](absl::Status) {});  // But a person may say so.
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, WhatCouldNotBeStartedIsNotTriedAgain) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kFailed;
  memo.problem = "exec '/x': No such file or directory";
  Rests(memo);
  Resume();
  EXPECT_EQ(Launches(), 0U);
  EXPECT_EQ(Instance0().problem, memo.problem);
}

TEST_F(AdoptionTest, ABackoffGoesOnWhereItWas) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kBackoff;
  memo.restarts = 4;
  memo.pacer.in_a_row = 5;
  memo.next_retry = clock_.Now() + absl::Seconds(2);
  Rests(memo);
  Resume();
  EXPECT_EQ(State(), InstanceState::kBackoff);
  EXPECT_EQ(Instance0().next_retry_at, memo.next_retry);
  timers_.AdvanceBy(absl::Milliseconds(1999));
  EXPECT_EQ(Launches(), 0U);
  timers_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(Launches(), 1U);
  EXPECT_EQ(Instance0().restarts, 5U);
  Spawn(Latest());
  Exit(Latest(), 1);  // The next wait is the sixth: 100 ms * 2^4.
  EXPECT_EQ(Instance0().next_retry_at, clock_.Now() + absl::Milliseconds(1600));
}

TEST_F(AdoptionTest, ARetryThatWasDueIsNow) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kCrashloop;
  memo.next_retry = clock_.Now() - absl::Minutes(3);
  Rests(memo);
  Resume();
  EXPECT_EQ(Launches(), 0U);
  timers_.AdvanceBy(absl::ZeroDuration());
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, AClockThatWasSetBackDelaysNoRetryForDays) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kCrashloop;
  memo.next_retry = clock_.Now() + absl::Hours(48);
  Rests(memo);
  timers_.AdvanceBy(absl::Seconds(60));
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(AdoptionTest, ACrashLoopStaysOne) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kCrashloop;
  memo.pacer.looping = true;
  memo.next_retry = clock_.Now();
  Rests(memo);
  timers_.AdvanceBy(absl::ZeroDuration());
  Spawn(Latest());
  Exit(Latest(), 1);
  EXPECT_EQ(State(), InstanceState::kCrashloop);
}

TEST_F(AdoptionTest, AProcessEndsARest) {
  Add(Plain());
  InstanceMemo memo;
  memo.state = InstanceState::kBackoff;
  memo.next_retry = clock_.Now() + absl::Seconds(1);
  Rests(memo);
  Adopt(Key(kOld), Memo(Phase::kReady));
  timers_.AdvanceBy(absl::Minutes(1));
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(AdoptionTest, ANoteOfAnInstanceThatWasScaledAwayCanGo) {
  Add(Plain());
  Rests(InstanceMemo{}, 3);
  EXPECT_THAT(observer_.removed, ElementsAre("web/3"));
}

TEST_F(AdoptionTest, NoGenerationIsUsedTwice) {
  Add(Plain());
  Adopt(Key(kMine + 5), Memo(Phase::kReady));
  Exit(Key(kMine + 5), 1);
  EXPECT_GT(Latest().generation, kMine + 5);
}

}  // namespace
}  // namespace apm::supervisor
