// One instance, driven through the supervisor.
#include "agent/supervisor/instance.h"

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
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InstanceTest : public SupervisorTest {
 protected:
  // Ends the latest process at once after its spawn.
  void CrashAtStart() {
    Spawn(Latest());
    Exit(Latest(), 1);
  }
};

TEST_F(InstanceTest, APlainProcessIsReadyWhenItHasLivedForASecond) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  Spawn(Latest());
  timers_.AdvanceBy(absl::Milliseconds(999));
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_TRUE(start.open());
  timers_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_EQ(start.calls(), 1);
  EXPECT_THAT(start.status(), IsOk());
}

TEST_F(InstanceTest, APipeProcessIsReadyWithItsFirstFrame) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  Spawn(Latest());
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1"));
  supervisor_.OnHello(Latest(), "python/1.0");
  EXPECT_THAT(start.status(), IsOk());
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_EQ(Instance0().connector, "python/1.0");
}

TEST_F(InstanceTest, TrafficHearsOnceThatAPipeProcessIsReady) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  Spawn(Latest());
  timers_.AdvanceBy(Pipe().ready_after - absl::Milliseconds(1));
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1"));
  timers_.AdvanceBy(absl::Milliseconds(1));
  supervisor_.OnHello(Latest(), "");
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1", "ready 1"));
}

TEST_F(InstanceTest, APlainProcessNeverMeetsTraffic) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  Exit(key, 0);
  EXPECT_THAT(traffic_.calls, IsEmpty());
}

TEST_F(InstanceTest, ACrashIsFollowedByANewProcessAtOnce) {
  const InstanceKey old = Up(Plain())[0];
  KilledBy(old, SIGKILL);
  EXPECT_EQ(Launches(), 2U);
  EXPECT_GT(Latest().generation, old.generation);
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_EQ(Instance0().restarts, 1U);
  EXPECT_EQ(Instance0().problem, "killed by SIGKILL");
  EXPECT_EQ(observer_.changes.back(), "web/0 ready -> starting");
  EXPECT_EQ(observer_.reasons.back(), "killed by SIGKILL");
}

TEST_F(InstanceTest, TheSecondCrashWaitsAndShowsUntilWhen) {
  Up(Plain());
  Exit(Latest(), 1);
  CrashAtStart();
  EXPECT_EQ(State(), InstanceState::kBackoff);
  EXPECT_EQ(Instance0().next_retry_at, clock_.Now() + absl::Milliseconds(100));
  timers_.AdvanceBy(absl::Milliseconds(99));
  EXPECT_EQ(Launches(), 2U);
  timers_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(Launches(), 3U);
  EXPECT_EQ(Instance0().next_retry_at, std::nullopt);
  EXPECT_EQ(Instance0().restarts, 2U);
}

TEST_F(InstanceTest, TheTenthCrashIsALoopWithSlowRetries) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  for (int crash = 1; crash <= 9; ++crash) {
    CrashAtStart();
    EXPECT_NE(State(), InstanceState::kCrashloop) << crash;
    if (State() == InstanceState::kBackoff) timers_.AdvanceToNext();
  }
  CrashAtStart();
  EXPECT_EQ(State(), InstanceState::kCrashloop);
  EXPECT_EQ(StateOf("web"), WorkerState::kCrashloop);
  EXPECT_EQ(Instance0().next_retry_at, clock_.Now() + absl::Seconds(60));
  timers_.AdvanceBy(absl::Seconds(60));
  EXPECT_EQ(Launches(), 11U);
}

TEST_F(InstanceTest, StartEndsACrashLoop) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  for (int crash = 1; crash <= 10; ++crash) {
    CrashAtStart();
    if (State() == InstanceState::kBackoff) timers_.AdvanceToNext();
  }
  ASSERT_EQ(State(), InstanceState::kCrashloop);
  supervisor_.Start(kWeb, [](absl::Status) {});
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_EQ(Instance0().restarts, 0U);
  CrashAtStart();
  EXPECT_EQ(State(), InstanceState::kStarting);  // At once, as the first time.
}

TEST_F(InstanceTest, ThirtySecondsReadyMakeTheNextRestartImmediate) {
  Up(Plain());
  for (int i = 0; i < 3; ++i) {
    timers_.AdvanceBy(absl::Seconds(30));
    Exit(Latest(), 1);
    ASSERT_EQ(State(), InstanceState::kStarting) << i;
    Spawn(Latest());
    timers_.AdvanceBy(absl::Seconds(1));
  }
}

TEST_F(InstanceTest, AFailedSpawnIsRetriedAndKeepsItsReason) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  SpawnFails(Latest());
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(start.status().message(),
            "worker 'web', instance 0: exec '/usr/bin/node': No such file or "
            "directory");
  SpawnFails(Latest());
  EXPECT_EQ(State(), InstanceState::kBackoff);
  EXPECT_THAT(Instance0().problem, HasSubstr("/usr/bin/node"));
  EXPECT_EQ(start.calls(), 1);
}

TEST_F(InstanceTest, ASpawnFailureWithoutTextIsToldFromStepAndErrno) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  supervisor_.OnSpawnFailed(Latest(), "chdir", EACCES, "");
  EXPECT_EQ(Instance0().problem, "chdir: Permission denied");
}

TEST_F(InstanceTest, WithRestartNeverAFailedSpawnIsFinal) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  ASSERT_THAT(supervisor_.Add(spec), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  SpawnFails(Latest());
  EXPECT_EQ(State(), InstanceState::kFailed);
  EXPECT_EQ(StateOf("web"), WorkerState::kFailed);
  EXPECT_EQ(timers_.pending(), 0U);
}

TEST_F(InstanceTest, WithRestartNeverACrashIsLeftAlone) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  const InstanceKey key = Up(spec)[0];
  Exit(key, 3);
  EXPECT_EQ(State(), InstanceState::kExited);
  EXPECT_EQ(Instance0().problem, "exited with status 3");
  EXPECT_EQ(Instance0().last_exit->code, 3);
}

TEST_F(InstanceTest, OnFailureLeavesASuccessAlone) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kOnFailure;
  spec.success_codes = {0, 42};
  const InstanceKey key = Up(spec)[0];
  Exit(key, 42);
  EXPECT_EQ(State(), InstanceState::kExited);
  EXPECT_EQ(Instance0().problem, "");
}

TEST_F(InstanceTest, OnFailureRestartsAFailure) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kOnFailure;
  const InstanceKey key = Up(spec)[0];
  Exit(key, 1);
  EXPECT_EQ(State(), InstanceState::kStarting);
}

TEST_F(InstanceTest, ASignalIsNoSuccessWhateverTheCode) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kOnFailure;
  const InstanceKey key = Up(spec)[0];
  KilledBy(key, SIGSEGV);  // Its code is 0.
  EXPECT_EQ(State(), InstanceState::kStarting);
}

TEST_F(InstanceTest, AJobThatEndsWellBeforeASecondHasStartedWell) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  ASSERT_THAT(supervisor_.Add(spec), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  Spawn(Latest());
  Exit(Latest(), 0);
  EXPECT_THAT(start.status(), IsOk());
  EXPECT_EQ(start.calls(), 1);
}

TEST_F(InstanceTest, APipeProcessThatEndsBeforeItIsReadyHasFailed) {
  WorkerSpec spec = Pipe();
  spec.restart = RestartPolicy::kOnFailure;
  ASSERT_THAT(supervisor_.Add(spec), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  Spawn(Latest());
  Exit(Latest(), 0);
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(start.status().message()),
              HasSubstr("exited with status 0 before it was ready"));
  EXPECT_EQ(State(), InstanceState::kStarting);  // Retried.
}

TEST_F(InstanceTest, StopSignalsThenContinuesThenWaitsForTheExit) {
  const InstanceKey key = Up(Plain())[0];
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_TRUE(stop.open());
  KilledBy(key, SIGTERM);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(stop.calls(), 1);
  EXPECT_EQ(State(), InstanceState::kStopped);
  EXPECT_EQ(timers_.pending(), 0U);
  EXPECT_THAT(observer_.killed, IsEmpty());
}

TEST_F(InstanceTest, StopDrainsAPipeProcessFirst) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  EXPECT_THAT(SignalsTo(key), IsEmpty());
  supervisor_.OnDrained(key);
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  supervisor_.OnDrained(key);
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  Exit(key, 0);
  EXPECT_THAT(traffic_.calls,
              ElementsAre("attach 1", "ready 1", "drain 1", "detach 1"));
}

TEST_F(InstanceTest, TrafficHearsWhetherAnotherProcessFollows) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.Restart(kWeb, [](absl::Status) {});
  supervisor_.OnDrained(key);
  Exit(key, 0);
  Spawn(Latest());
  supervisor_.Stop(kWeb, [](absl::Status) {});
  EXPECT_THAT(traffic_.drain_reasons,
              ElementsAre(StopReason::kReplaced, StopReason::kForGood));
}

TEST_F(InstanceTest, ADrainThatIsNotAnsweredEndsAtItsDeadline) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
}

TEST_F(InstanceTest, WhatOutlivesTheStopTimeoutIsKilledAndNamed) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT, SIGKILL));
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_EQ(SignalsTo(key).back(), SIGKILL);  // Again, to be sure.
  EXPECT_EQ(observer_.killed.size(), 1U);     // But told once.
  KilledBy(key, SIGKILL);
  EXPECT_EQ(State(), InstanceState::kStopped);
}

TEST_F(InstanceTest, UsesTheStopSignalAndTimeoutOfTheSpec) {
  WorkerSpec spec = Plain();
  spec.stop_signal = SIGINT;
  spec.stop_timeout = absl::ZeroDuration();
  const InstanceKey key = Up(spec)[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  timers_.AdvanceBy(absl::ZeroDuration());
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGINT, SIGCONT, SIGKILL));
}

TEST_F(InstanceTest, AStopDuringTheLaunchWaitsForTheProcessAndEndsIt) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  Outcome start;
  Outcome stop;
  supervisor_.Start(kWeb, start.Callback());
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_TRUE(stop.open());
  Spawn(Latest());
  EXPECT_THAT(SignalsTo(Latest()), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_THAT(traffic_.calls, IsEmpty());  // No session for a dying process.
  KilledBy(Latest(), SIGTERM);
  EXPECT_THAT(stop.status(), IsOk());
}

TEST_F(InstanceTest, AStopDuringALaunchThatFailsIsDone) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Start(kWeb, [](absl::Status) {});
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  SpawnFails(Latest());
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(InstanceTest, AStopEndsTheWaitForTheNextAttempt) {
  Up(Plain());
  Exit(Latest(), 1);
  CrashAtStart();
  ASSERT_EQ(State(), InstanceState::kBackoff);
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(timers_.pending(), 0U);
}

TEST_F(InstanceTest, AnOldGenerationIsNotHeard) {
  const InstanceKey old = Up(Plain())[0];
  Exit(old, 1);
  Spawn(Latest());
  Exit(old, 1);  // Repeated until acknowledged.
  Spawn(old);
  supervisor_.OnLinkLost(old);
  supervisor_.OnHello(old, "late");
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_EQ(Launches(), 2U);
  EXPECT_EQ(Instance0().connector, "");
}

TEST_F(InstanceTest, AnExitThatIsRepeatedCountsOnce) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  const InstanceKey key = Up(spec)[0];
  Exit(key, 1);
  const size_t changes = observer_.changes.size();
  Exit(key, 2);
  EXPECT_EQ(observer_.changes.size(), changes);
  EXPECT_EQ(Instance0().last_exit->code, 1);
}

TEST_F(InstanceTest, ASpawnThatIsRepeatedCountsOnce) {
  const InstanceKey key = Up(Pipe())[0];
  timers_.AdvanceBy(absl::Seconds(5));
  Spawn(key);
  SpawnFails(key);
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_EQ(Instance0().uptime, absl::Seconds(6));
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1", "ready 1"));
}

TEST_F(InstanceTest, AnOldProcessesMeritsAreNotItsSuccessors) {
  Up(Pipe());
  supervisor_.OnHello(Latest(), "python/1.0");
  timers_.AdvanceBy(absl::Seconds(30));
  Exit(Latest(), 1);
  EXPECT_EQ(Instance0().connector, "");
  CrashAtStart();  // It has never been ready.
  EXPECT_EQ(State(), InstanceState::kBackoff);
}

TEST_F(InstanceTest, EachProcessThatIsKilledIsNamed) {
  for (int round = 1; round <= 2; ++round) {
    supervisor_.Add(Plain()).IgnoreError();
    supervisor_.Start(kWeb, [](absl::Status) {});
    Spawn(Latest());
    supervisor_.Stop(kWeb, [](absl::Status) {});
    timers_.AdvanceBy(absl::Seconds(10));
    KilledBy(Latest(), SIGKILL);
  }
  EXPECT_THAT(observer_.killed, ElementsAre(1001, 1002));
}

TEST_F(InstanceTest, ALaunchThatIsNotAnsweredIsReportedAndEndedWhenItComes) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  timers_.AdvanceBy(absl::Seconds(60));
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(start.status().message()), HasSubstr("within 1m"));
  EXPECT_EQ(State(), InstanceState::kUnready);
  EXPECT_EQ(Launches(), 1U);  // Never a second one beside it.
  Spawn(Latest());
  EXPECT_THAT(SignalsTo(Latest()), ElementsAre(SIGTERM, SIGCONT));
  Exit(Latest(), 0);
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(InstanceTest, ALostLinkIsGivenASecondToBecomeAnExit) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.OnLinkLost(key);
  EXPECT_EQ(State(), InstanceState::kUnready);
  KilledBy(key, SIGSEGV);
  EXPECT_EQ(Instance0().problem, "killed by SIGSEGV");
  EXPECT_THAT(SignalsTo(key), IsEmpty());
  EXPECT_EQ(State(), InstanceState::kStarting);
}

TEST_F(InstanceTest, AProcessThatLivesOnWithoutItsLinkIsReplaced) {
  WorkerSpec spec = Pipe();
  spec.restart = RestartPolicy::kOnFailure;
  const InstanceKey key = Up(spec)[0];
  supervisor_.OnLinkLost(key);
  timers_.AdvanceBy(kEndGrace);
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_EQ(SignalsTo(key).back(), SIGKILL);
  Exit(key, 0);  // A success only by its code.
  EXPECT_EQ(Launches(), 2U);
  EXPECT_THAT(Instance0().problem, HasSubstr("closed its stdin or stdout"));
}

TEST_F(InstanceTest, AWorkerThatIsReadyHasNoProblem) {
  Up(Plain());
  Exit(Latest(), 1);
  Spawn(Latest());
  EXPECT_NE(Instance0().problem, "");
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(Instance0().problem, "");
}

TEST_F(InstanceTest, UptimeAndPidAreThoseOfTheProcess) {
  Up(Plain());
  timers_.AdvanceBy(absl::Seconds(9));
  EXPECT_EQ(Instance0().uptime, absl::Seconds(10));
  EXPECT_EQ(Instance0().started_at, clock_.Now() - absl::Seconds(10));
  EXPECT_EQ(Instance0().pid, 1001);
  supervisor_.Stop(kWeb, [](absl::Status) {});
  Exit(Latest(), 0);
  EXPECT_EQ(Instance0().pid, 0);
  EXPECT_EQ(Instance0().started_at, std::nullopt);
}

TEST(ProcessExitTest, SaysHowAProcessEnded) {
  ProcessExit exit;
  exit.code = 127;
  EXPECT_EQ(DescribeExit(exit), "exited with status 127");
  exit.signal = SIGABRT;
  exit.core_dumped = true;
  EXPECT_EQ(DescribeExit(exit), "killed by SIGABRT (core dumped)");
  exit.signal = 63;
  exit.core_dumped = false;
  EXPECT_EQ(DescribeExit(exit), "killed by signal 63");
}

}  // namespace
}  // namespace apm::supervisor
