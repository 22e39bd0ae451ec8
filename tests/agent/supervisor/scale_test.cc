// More and fewer instances while they run; another specification.

#include <signal.h>

#include <string>
#include <utility>
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

class ScaleTest : public SupervisorTest {
 protected:
  void Scale(uint32_t instances) { Scale(instances, scale_); }
  void Scale(uint32_t instances, Outcome& outcome) {
    supervisor_.Scale("web", instances, outcome.Callback());
  }
  void ComesUp(const InstanceKey& key) {
    Spawn(key);
    supervisor_.OnHello(key, "");
  }
  void EndsItsSessions(const InstanceKey& key) {
    supervisor_.OnDrained(key);
    Exit(key, 0);
  }
  size_t Listed() const { return supervisor_.Find("web")->instances.size(); }

  Outcome scale_;
};

TEST_F(ScaleTest, UpIsDoneWhenTheNewInstancesAreReady) {
  Up(Pipe("web", 1));
  Scale(3);
  EXPECT_EQ(Launches(), 3U);
  ComesUp(processes_.launched[1]);
  EXPECT_TRUE(scale_.open());
  ComesUp(processes_.launched[2]);
  EXPECT_THAT(scale_.status(), IsOk());
  EXPECT_EQ(processes_.launched[2].instance, 2U);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);
}

TEST_F(ScaleTest, ANewInstanceThatFailsIsSaidAndStillSupervised) {
  Up(Pipe());
  Scale(2);
  Spawn(Latest());
  Exit(Latest(), 1);
  EXPECT_THAT(scale_.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(scale_.status().message(),
              HasSubstr("instance 1: exited with status 1"));
  EXPECT_EQ(Listed(), 2U);
  EXPECT_EQ(State(1), InstanceState::kStarting);
}

TEST_F(ScaleTest, DownDrainsTheHighestAndForgetsThem) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 3));
  traffic_.calls.clear();
  Scale(1);
  EXPECT_THAT(traffic_.calls, ElementsAre("drain 2", "drain 3"));
  EXPECT_THAT(traffic_.drain_reasons,
              ElementsAre(StopReason::kReplaced, StopReason::kReplaced));
  EXPECT_EQ(Listed(), 3U);
  EXPECT_EQ(State(2), InstanceState::kStopping);
  EXPECT_EQ(StateOf("web"), WorkerState::kReady);  // What stays is.
  EndsItsSessions(keys[2]);
  EXPECT_EQ(Listed(), 2U);
  EXPECT_TRUE(scale_.open());
  EndsItsSessions(keys[1]);
  EXPECT_THAT(scale_.status(), IsOk());
  EXPECT_EQ(Listed(), 1U);
  EXPECT_THAT(observer_.removed, ElementsAre("web/2", "web/1"));
}

TEST_F(ScaleTest, WhatIsScaledAwayIsNoTargetAnyMore) {
  Up(Pipe("web", 2));
  Scale(1);
  Outcome start;
  supervisor_.Start({"web", 1}, start.Callback());
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ScaleTest, AStoppedWorkerOnlyHasAnotherNumber) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  Scale(3);
  EXPECT_THAT(scale_.status(), IsOk());
  EXPECT_EQ(Launches(), 0U);
  supervisor_.Start(kWeb, [](absl::Status) {});
  EXPECT_EQ(Launches(), 3U);
}

TEST_F(ScaleTest, ToTheSameNumberIsDoneAtOnce) {
  Up(Pipe());
  Scale(1);
  EXPECT_THAT(scale_.status(), IsOk());
}

TEST_F(ScaleTest, ANumberThatCannotBeIsRefused) {
  Up(Pipe());
  Scale(0);
  EXPECT_THAT(scale_.status(), StatusIs(absl::StatusCode::kInvalidArgument));
  Outcome many;
  Scale(kMaxInstances + 1, many);
  EXPECT_THAT(many.status(), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(Listed(), 1U);
}

TEST_F(ScaleTest, TheLaterOneWins) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Outcome up;
  Scale(4, up);
  Outcome down;
  Scale(1, down);
  EXPECT_THAT(up.status(), StatusIs(absl::StatusCode::kAborted));
  for (const InstanceKey& key :
       {processes_.launched[2], processes_.launched[3]}) {
    Spawn(key);
    Exit(key, 0);
  }
  EXPECT_TRUE(down.open());
  EndsItsSessions(keys[1]);
  EXPECT_THAT(down.status(), IsOk());
  EXPECT_EQ(Listed(), 1U);
}

TEST_F(ScaleTest, UpAgainStartsWhatIsStoppingWhenItHasStopped) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Outcome down;
  Scale(1, down);
  Outcome up;
  Scale(2, up);
  EXPECT_THAT(down.status(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(Launches(), 2U);
  EndsItsSessions(keys[1]);
  EXPECT_EQ(Launches(), 3U);
  EXPECT_TRUE(up.open());
  ComesUp(Latest());
  EXPECT_THAT(up.status(), IsOk());
  EXPECT_THAT(observer_.removed, IsEmpty());
}

TEST_F(ScaleTest, ALaterOneWaitsForWhatTheEarlierOneStarted) {
  Up(Pipe());
  Outcome first;
  Scale(2, first);
  Outcome second;
  Scale(2, second);
  EXPECT_TRUE(second.open());
  ComesUp(Latest());
  EXPECT_THAT(second.status(), IsOk());
}

TEST_F(ScaleTest, AStopAbortsAnUpAndStopsTheNewOnesToo) {
  const InstanceKey key = Up(Pipe())[0];
  Scale(2);
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(scale_.status(), StatusIs(absl::StatusCode::kAborted));
  SpawnFails(Latest());
  EndsItsSessions(key);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Listed(), 2U);
}

TEST_F(ScaleTest, AStopWaitsForWhatIsScaledAwayAsWell) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Scale(1);
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_TRUE(scale_.open());
  EndsItsSessions(keys[0]);
  EXPECT_TRUE(stop.open());
  EndsItsSessions(keys[1]);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_THAT(scale_.status(), IsOk());
}

TEST_F(ScaleTest, ARestartOfWhatStaysGoesOn) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Outcome restart_stays;
  supervisor_.Restart({"web", 0}, restart_stays.Callback());
  Outcome restart_goes;
  supervisor_.Restart({"web", 1}, restart_goes.Callback());
  Scale(1);
  EXPECT_THAT(restart_goes.status(), StatusIs(absl::StatusCode::kAborted));
  EndsItsSessions(keys[1]);
  EXPECT_THAT(scale_.status(), IsOk());
  EndsItsSessions(keys[0]);
  ComesUp(Latest());
  EXPECT_EQ(Latest().instance, 0U);
  EXPECT_THAT(restart_stays.status(), IsOk());
}

TEST_F(ScaleTest, AReloadGoesOnForWhatStays) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 3));
  Outcome reload;
  supervisor_.Reload(kWeb, reload.Callback());
  Scale(2);
  EndsItsSessions(keys[2]);
  ComesUp(Latest());
  EndsItsSessions(keys[0]);
  ComesUp(Latest());
  EndsItsSessions(keys[1]);
  EXPECT_THAT(reload.status(), IsOk());
  EXPECT_EQ(Launches(), 5U);
}

TEST_F(ScaleTest, AReloadOfWhatGoesIsAbortedWithItsReplacement) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Outcome reload;
  supervisor_.Reload({"web", 1}, reload.Callback());
  const InstanceKey incoming = Latest();
  Spawn(incoming);
  Scale(1);
  EXPECT_THAT(reload.status(), StatusIs(absl::StatusCode::kAborted));
  EndsItsSessions(keys[1]);
  EXPECT_TRUE(scale_.open());
  EndsItsSessions(incoming);
  EXPECT_THAT(scale_.status(), IsOk());
}

TEST_F(ScaleTest, AReloadThatIsThroughWithWhatStaysHasSucceeded) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  Outcome reload;
  supervisor_.Reload(kWeb, reload.Callback());
  ComesUp(Latest());
  EndsItsSessions(keys[0]);
  EXPECT_EQ(Latest().instance, 1U);
  Scale(1);
  EXPECT_THAT(reload.status(), IsOk());
}

TEST_F(ScaleTest, ADeletedWorkerIsNotScaled) {
  Up(Pipe("web", 2));
  supervisor_.Delete("web", [](absl::Status) {});
  Scale(1);
  EXPECT_THAT(scale_.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ScaleTest, AWorkerKeepsAllItsInstancesUntilItIsGone) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  supervisor_.Delete("web", [](absl::Status) {});
  EndsItsSessions(keys[1]);
  EXPECT_EQ(Listed(), 2U);
  supervisor_.Stop({"web", 1}, [](absl::Status) {});
  EndsItsSessions(keys[0]);
  EXPECT_THAT(observer_.removed, ElementsAre("web/1", "web/0"));
}

// ---- Update ----

TEST_F(ScaleTest, AnUpdateHoldsFromTheNextStepOn) {
  const InstanceKey key = Up(Plain())[0];
  WorkerSpec spec = Plain();
  spec.stop_signal = SIGINT;
  spec.restart = RestartPolicy::kNever;
  spec.instances = 5;  // Scale's business.
  EXPECT_THAT(supervisor_.Update(spec), IsOk());
  EXPECT_EQ(Listed(), 1U);
  Exit(key, 1);
  EXPECT_EQ(State(), InstanceState::kExited);
  supervisor_.Start(kWeb, [](absl::Status) {});
  Spawn(Latest());
  supervisor_.Stop(kWeb, [](absl::Status) {});
  EXPECT_THAT(SignalsTo(Latest()), ElementsAre(SIGINT, SIGCONT));
}

TEST_F(ScaleTest, ATimerThatRunsKeepsItsTime) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Stop(kWeb, [](absl::Status) {});
  WorkerSpec spec = Plain();
  spec.stop_timeout = absl::Minutes(10);
  EXPECT_THAT(supervisor_.Update(spec), IsOk());
  timers_.AdvanceBy(absl::Seconds(10));
  EXPECT_EQ(SignalsTo(key).back(), SIGKILL);
}

TEST_F(ScaleTest, AnUpdateMustBeOfAWorkerThatIsThereAndOfItsKind) {
  EXPECT_THAT(supervisor_.Update(Plain()),
              StatusIs(absl::StatusCode::kNotFound));
  Up(Plain());
  EXPECT_THAT(supervisor_.Update(Pipe()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  supervisor_.Delete("web", [](absl::Status) {});
  EXPECT_THAT(supervisor_.Update(Plain()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace apm::supervisor
