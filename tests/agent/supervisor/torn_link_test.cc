// A proxy died in the middle of a frame.

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

using TornLinkTest = SupervisorTest;

TEST_F(TornLinkTest, ItsWorkerIsKilledAndStartedAnewAlone) {
  const std::vector<InstanceKey> keys = Up(Pipe("web", 2));
  supervisor_.OnLinkTorn(keys[0]);
  EXPECT_THAT(SignalsTo(keys[0]), ElementsAre(SIGKILL));
  EXPECT_THAT(SignalsTo(keys[1]), IsEmpty());
  EXPECT_EQ(State(0), InstanceState::kUnready);
  EXPECT_EQ(Launches(), 2U);
  KilledBy(keys[0], SIGKILL);
  EXPECT_EQ(State(0), InstanceState::kStarting);
  EXPECT_EQ(State(1), InstanceState::kReady);
  EXPECT_EQ(Launches(), 3U);
  EXPECT_EQ(observer_.reasons.back(), "its link was torn when the proxy died");
}

TEST_F(TornLinkTest, ItIsNotSaidToHaveOutlivedItsStopSignal) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.OnLinkTorn(key);
  timers_.AdvanceBy(absl::Seconds(10));  // It hangs in the kernel.
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGKILL, SIGKILL));
  EXPECT_THAT(observer_.killed, IsEmpty());
}

TEST_F(TornLinkTest, ManyOfThemAreNoCrashLoop) {
  Up(Pipe());
  for (int i = 0; i < 20; ++i) {
    supervisor_.OnLinkTorn(Latest());
    KilledBy(Latest(), SIGKILL);
    EXPECT_EQ(State(), InstanceState::kStarting);
    Spawn(Latest());
    supervisor_.OnHello(Latest(), "");
  }
  Exit(Latest(), 1);  // And the first crash has its immediate restart.
  EXPECT_EQ(State(), InstanceState::kStarting);
}

TEST_F(TornLinkTest, EvenARestartPolicyOfNeverStartsItAgain) {
  WorkerSpec spec = Pipe();
  spec.restart = RestartPolicy::kNever;
  const InstanceKey key = Up(spec)[0];
  supervisor_.OnLinkTorn(key);
  KilledBy(key, SIGKILL);
  EXPECT_EQ(State(), InstanceState::kStarting);
}

TEST_F(TornLinkTest, WhoWaitsForTheStartWaitsForTheNextProcess) {
  ASSERT_THAT(supervisor_.Add(Pipe()), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  Spawn(Latest());
  supervisor_.OnLinkTorn(Latest());
  KilledBy(Latest(), SIGKILL);
  EXPECT_TRUE(start.open());
  Spawn(Latest());
  supervisor_.OnHello(Latest(), "");
  EXPECT_THAT(start.status(), IsOk());
}

TEST_F(TornLinkTest, OneThatIsDrainingHasNothingToWaitFor) {
  const InstanceKey key = Up(Pipe())[0];
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  supervisor_.OnLinkTorn(key);
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  Exit(key, 0);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(TornLinkTest, OneThatClosedItsPipesIsNotWaitedFor) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.OnLinkLost(key);
  supervisor_.OnLinkTorn(key);
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGKILL));
}

TEST_F(TornLinkTest, AStopAfterItEndsWithIt) {
  const InstanceKey key = Up(Pipe())[0];
  supervisor_.OnLinkTorn(key);
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  KilledBy(key, SIGKILL);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(TornLinkTest, AReplacementThatIsTornFailsItsReload) {
  Up(Pipe());
  Outcome reload;
  supervisor_.Reload(kWeb, reload.Callback());
  Spawn(Latest());
  supervisor_.OnLinkTorn(Latest());
  KilledBy(Latest(), SIGKILL);
  EXPECT_THAT(reload.status().message(),
              ::testing::HasSubstr("its link was torn when the proxy died; "
                                   "the old process stays as it was"));
}

}  // namespace
}  // namespace apm::supervisor
