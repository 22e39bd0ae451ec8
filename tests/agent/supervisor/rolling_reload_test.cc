// Reload: the new process is ready before the old one stops.
#include <signal.h>

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/supervisor/worker.h"
#include "tests/agent/supervisor/fake_world.h"

namespace apm::supervisor {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RollingReloadTest : public SupervisorTest {
 protected:
  void Reload() { supervisor_.Reload(kWeb, reload_.Callback()); }
  void ComesUp(const InstanceKey& key) {
    Spawn(key);
    supervisor_.OnHello(key, "");
  }
  void EndsItsSessions(const InstanceKey& key) {
    supervisor_.OnDrained(key);
    Exit(key, 0);
  }

  Outcome reload_;
};

TEST_F(RollingReloadTest, TheOldProcessDrainsOnlyWhenTheNewOneIsReady) {
  const InstanceKey old = Up(Pipe())[0];
  Reload();
  const InstanceKey fresh = Latest();
  EXPECT_EQ(fresh.instance, 0U);
  Spawn(fresh);
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1", "ready 1", "attach 2"));
  EXPECT_TRUE(supervisor_.Find("web")->reloading);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);  // All the time.
  supervisor_.OnHello(fresh, "");
  EXPECT_THAT(traffic_.calls, ElementsAre("attach 1", "ready 1", "attach 2",
                                          "ready 2", "drain 1"));
  EXPECT_THAT(traffic_.drain_reasons, ElementsAre(StopReason::kReplaced));
  EXPECT_EQ(Instance0().generation, fresh.generation);
  EXPECT_TRUE(reload_.open());
  EndsItsSessions(old);
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_EQ(reload_.calls(), 1);
  EXPECT_FALSE(supervisor_.Find("web")->reloading);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);
}

TEST_F(RollingReloadTest, GoesOnWithTheNextInstanceWhenTheOldProcessIsGone) {
  const std::vector<InstanceKey> old = Up(Pipe("web", 2));
  Reload();
  EXPECT_EQ(Launches(), 3U);
  ComesUp(Latest());
  EXPECT_EQ(Launches(), 3U);
  EndsItsSessions(old[0]);
  EXPECT_EQ(Launches(), 4U);
  EXPECT_EQ(Latest().instance, 1U);
  ComesUp(Latest());
  EXPECT_TRUE(reload_.open());
  EndsItsSessions(old[1]);
  EXPECT_THAT(reload_.status(), IsOk());
}

TEST_F(RollingReloadTest, ANewProcessThatCrashesLeavesTheOldOneAndSaysWhy) {
  const InstanceKey old = Up(Pipe("web", 2))[0];
  Reload();
  Spawn(Latest());
  Exit(Latest(), 1);
  EXPECT_THAT(reload_.status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(reload_.status().message(),
            "worker 'web', instance 0: exited with status 1 before it was "
            "ready; the old process stays as it was");
  EXPECT_EQ(Launches(), 3U);  // Neither again nor the next instance.
  EXPECT_THAT(SignalsTo(old), IsEmpty());
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);
  EXPECT_EQ(Instance0().generation, old.generation);
}

TEST_F(RollingReloadTest, WhereNoOldProcessRunsNoneIsSaidToStay) {
  WorkerSpec job = Plain();
  job.restart = RestartPolicy::kNever;
  Exit(Up(job)[0], 0);
  Reload();
  SpawnFails(Latest());
  EXPECT_THAT(std::string(reload_.status().message()),
              HasSubstr("No such file or directory; there was no old process"));
}

TEST_F(RollingReloadTest, ANewProcessThatCannotBeSpawnedLeavesTheOldOne) {
  const InstanceKey old = Up(Pipe())[0];
  Reload();
  SpawnFails(Latest());
  EXPECT_THAT(std::string(reload_.status().message()),
              HasSubstr("No such file or directory; the old process stays"));
  EXPECT_THAT(SignalsTo(old), IsEmpty());
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(RollingReloadTest, ANewProcessWhoseLaunchIsNotAnsweredIsGivenUp) {
  const InstanceKey old = Up(Pipe())[0];
  Reload();
  const InstanceKey late = Latest();
  timers_.AdvanceBy(absl::Seconds(60));
  EXPECT_THAT(reload_.status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  Spawn(late);
  EXPECT_THAT(SignalsTo(late), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_THAT(SignalsTo(old), IsEmpty());
  KilledBy(late, SIGTERM);
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(RollingReloadTest, AFailureDoesNotHoldUpTheNextReload) {
  Up(Pipe());
  Outcome second;
  Reload();
  supervisor_.Reload(kWeb, second.Callback());
  SpawnFails(Latest());
  EXPECT_FALSE(reload_.open());
  EXPECT_EQ(Launches(), 3U);
  SpawnFails(Latest());
  EXPECT_FALSE(second.open());
}

TEST_F(RollingReloadTest, ACrashOfTheOldProcessIsRepairedMeanwhile) {
  const InstanceKey old = Up(Pipe())[0];
  Reload();
  const InstanceKey incoming = Latest();
  Spawn(incoming);
  KilledBy(old, SIGKILL);
  const InstanceKey repaired = Latest();
  EXPECT_EQ(Launches(), 3U);
  ComesUp(repaired);
  supervisor_.OnHello(incoming, "");
  EndsItsSessions(repaired);
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_EQ(Instance0().generation, incoming.generation);
}

TEST_F(RollingReloadTest, AKillOfTheDrainingProcessEndsItsDrain) {
  const InstanceKey old = Up(Pipe())[0];
  Reload();
  ComesUp(Latest());
  KilledBy(old, SIGKILL);
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(RollingReloadTest, ReplacesAProcessThatIsWaitingForItsRetry) {
  Up(Plain());
  Exit(Latest(), 1);
  Spawn(Latest());
  Exit(Latest(), 1);
  ASSERT_EQ(State(), InstanceState::kBackoff);
  Reload();
  Spawn(Latest());
  timers_.AdvanceBy(absl::Milliseconds(50));
  EXPECT_TRUE(reload_.open());
  supervisor_.OnHello(Latest(), "");
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_EQ(State(), InstanceState::kReady);
  EXPECT_EQ(timers_.pending(), 0U);  // The retry is off.
}

TEST_F(RollingReloadTest, AStopAbortsItAndStopsBothProcesses) {
  const InstanceKey old = Up(Plain())[0];
  Reload();
  const InstanceKey incoming = Latest();
  Spawn(incoming);
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(reload_.status(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(std::string(reload_.status().message()), HasSubstr("later stop"));
  Exit(old, 0);
  EXPECT_TRUE(stop.open());
  Exit(incoming, 0);
  EXPECT_THAT(stop.status(), IsOk());
}

TEST_F(RollingReloadTest, ARestartAbortsItAndWaitsForBothProcesses) {
  const InstanceKey old = Up(Plain())[0];
  Reload();
  const InstanceKey incoming = Latest();
  Spawn(incoming);
  supervisor_.Restart(kWeb, [](absl::Status) {});
  EXPECT_THAT(reload_.status(), StatusIs(absl::StatusCode::kAborted));
  Exit(old, 0);
  EXPECT_EQ(Launches(), 2U);
  Exit(incoming, 0);
  EXPECT_EQ(Launches(), 3U);
}

TEST_F(RollingReloadTest, AStopOfAnotherInstanceAbortsItToo) {
  const std::vector<InstanceKey> old = Up(Plain("web", 2));
  Reload();
  Spawn(Latest());
  supervisor_.Stop({"web", 1}, [](absl::Status) {});
  EXPECT_THAT(reload_.status(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(SignalsTo(old[0]), IsEmpty());  // The good one stays.
  EXPECT_THAT(SignalsTo(Latest()), ElementsAre(SIGTERM, SIGCONT));
}

TEST_F(RollingReloadTest, AStartMeanwhileChangesNothing) {
  const InstanceKey old = Up(Plain())[0];
  Reload();
  Spawn(Latest());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  EXPECT_THAT(start.status(), IsOk());
  timers_.AdvanceBy(absl::Seconds(1));
  Exit(old, 0);
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(RollingReloadTest, ASecondReloadWaitsForTheFirst) {
  const InstanceKey old = Up(Plain())[0];
  Outcome second;
  Reload();
  supervisor_.Reload(kWeb, second.Callback());
  EXPECT_EQ(Launches(), 2U);
  const InstanceKey middle = Latest();
  Spawn(middle);
  timers_.AdvanceBy(absl::Seconds(1));
  Exit(old, 0);
  EXPECT_THAT(reload_.status(), IsOk());
  EXPECT_TRUE(second.open());
  EXPECT_EQ(Launches(), 3U);
  Spawn(Latest());
  timers_.AdvanceBy(absl::Seconds(1));
  Exit(middle, 0);
  EXPECT_THAT(second.status(), IsOk());
}

TEST_F(RollingReloadTest, WhatIsStoppedStaysSo) {
  Up(Plain("web", 2));
  supervisor_.Stop({"web", 0}, [](absl::Status) {});
  Exit(processes_.launched[0], 0);
  Reload();
  EXPECT_EQ(Launches(), 3U);
  EXPECT_EQ(Latest().instance, 1U);
}

TEST_F(RollingReloadTest, AStoppedWorkerHasNothingToReload) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Reload();
  EXPECT_THAT(reload_.status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(RollingReloadTest, TheNewProcessIsSupervisedLikeTheOldOne) {
  const InstanceKey old = Up(Plain())[0];
  Reload();
  Spawn(Latest());
  timers_.AdvanceBy(absl::Seconds(1));
  Exit(old, 0);
  Exit(Latest(), 1);
  EXPECT_EQ(State(), InstanceState::kStarting);
  EXPECT_EQ(Launches(), 3U);
}

}  // namespace
}  // namespace apm::supervisor
