// Commands, alone and when they meet each other.
#include "agent/supervisor/supervisor.h"

#include <signal.h>

#include <memory>
#include <optional>
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

class CommandTest : public SupervisorTest {};

TEST_F(CommandTest, AWorkerIsAddedStopped) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  EXPECT_EQ(StateOf("web"), WorkerState::kStopped);
  EXPECT_EQ(Launches(), 0U);
}

TEST_F(CommandTest, ANameIsTakenOnce) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  EXPECT_THAT(supervisor_.Add(Plain()),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(CommandTest, AWorkerNeedsAnInstance) {
  EXPECT_THAT(supervisor_.Add(Plain("web", 0)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(CommandTest, AnUnknownWorkerOrInstanceIsNotFound) {
  ASSERT_THAT(supervisor_.Add(Plain("web", 2)), IsOk());
  Outcome unknown_worker;
  supervisor_.Start({"api", std::nullopt}, unknown_worker.Callback());
  EXPECT_THAT(unknown_worker.status(), StatusIs(absl::StatusCode::kNotFound));
  Outcome unknown_instance;
  supervisor_.Stop({"web", 2}, unknown_instance.Callback());
  EXPECT_THAT(unknown_instance.status(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(unknown_instance.status().message()),
              HasSubstr("its instances are 0 to 1"));
}

TEST_F(CommandTest, StartWaitsForEveryInstance) {
  ASSERT_THAT(supervisor_.Add(Pipe("web", 2)), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  for (const InstanceKey& key : processes_.launched) Spawn(key);
  supervisor_.OnHello(processes_.launched[0], "");
  EXPECT_TRUE(start.open());
  supervisor_.OnHello(processes_.launched[1], "");
  EXPECT_THAT(start.status(), IsOk());
}

TEST_F(CommandTest, StartFailsWithTheFirstFailureWhileSupervisionGoesOn) {
  ASSERT_THAT(supervisor_.Add(Pipe("web", 2)), IsOk());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  const std::vector<InstanceKey> keys = processes_.launched;
  for (const InstanceKey& key : keys) Spawn(key);
  Exit(keys[1], 1);
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(start.status().message()), HasSubstr("instance 1"));
  EXPECT_EQ(Launches(), 3U);
  supervisor_.OnHello(keys[0], "");
  EXPECT_EQ(start.calls(), 1);
}

TEST_F(CommandTest, StartOfOneInstanceLeavesTheOthers) {
  ASSERT_THAT(supervisor_.Add(Plain("web", 3)), IsOk());
  supervisor_.Start({"web", 1}, [](absl::Status) {});
  ASSERT_EQ(Launches(), 1U);
  EXPECT_EQ(Latest().instance, 1U);
}

TEST_F(CommandTest, StartOfWhatIsReadyIsDoneAtOnce) {
  Up(Plain());
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  EXPECT_THAT(start.status(), IsOk());
  EXPECT_EQ(start.calls(), 1);
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(CommandTest, ASecondStartWaitsForTheSameProcess) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Outcome first;
  Outcome second;
  supervisor_.Start(kWeb, first.Callback());
  supervisor_.Start(kWeb, second.Callback());
  EXPECT_EQ(Launches(), 1U);
  Spawn(Latest());
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(first.calls(), 1);
  EXPECT_EQ(second.calls(), 1);
}

TEST_F(CommandTest, StopOfWhatHasStoppedIsDoneAtOnce) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  Outcome stop;
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(stop.calls(), 1);
}

TEST_F(CommandTest, StartDuringAStopStartsWhenItHasStopped) {
  const InstanceKey key = Up(Plain())[0];
  Outcome stop;
  Outcome start;
  supervisor_.Stop(kWeb, stop.Callback());
  supervisor_.Start(kWeb, start.Callback());
  EXPECT_EQ(Launches(), 1U);
  Exit(key, 0);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 2U);
  Spawn(Latest());
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(start.calls(), 1);
  EXPECT_THAT(start.status(), IsOk());
}

// After a proxy's death: the end of the process that lost its link is not the
// outcome of the start.
TEST_F(CommandTest, StartOfWhatIsEndingWaitsForTheNextProcess) {
  for (const RestartPolicy policy :
       {RestartPolicy::kAlways, RestartPolicy::kOnFailure}) {
    WorkerSpec spec = Pipe();
    spec.name = policy == RestartPolicy::kAlways ? "web" : "once";
    spec.restart = policy;
    const InstanceKey key = Up(spec)[0];
    supervisor_.OnLinkLost(key);
    Outcome start;
    supervisor_.Start({spec.name, std::nullopt}, start.Callback());
    Exit(key, 0);
    EXPECT_TRUE(start.open());
    Spawn(Latest());
    timers_.AdvanceBy(absl::Seconds(1));
    EXPECT_THAT(start.status(), IsOk());
  }
}

TEST_F(CommandTest, AStopAfterThatStartWins) {
  const InstanceKey key = Up(Plain())[0];
  Outcome start;
  Outcome stop;
  supervisor_.Stop(kWeb, [](absl::Status) {});
  supervisor_.Start(kWeb, start.Callback());
  supervisor_.Stop(kWeb, stop.Callback());
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kAborted));
  Exit(key, 0);
  EXPECT_THAT(stop.status(), IsOk());
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(CommandTest, RestartStopsThenStarts) {
  const InstanceKey key = Up(Plain())[0];
  Outcome restart;
  supervisor_.Restart(kWeb, restart.Callback());
  EXPECT_THAT(SignalsTo(key), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_EQ(Launches(), 1U);
  Exit(key, 0);
  EXPECT_EQ(Launches(), 2U);
  Spawn(Latest());
  EXPECT_TRUE(restart.open());
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_THAT(restart.status(), IsOk());
  EXPECT_EQ(restart.calls(), 1);
}

TEST_F(CommandTest, RestartOfWhatHasStoppedStarts) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  supervisor_.Restart(kWeb, [](absl::Status) {});
  EXPECT_EQ(Launches(), 1U);
}

TEST_F(CommandTest, RestartStartsWhatHadExited) {
  WorkerSpec spec = Plain();
  spec.restart = RestartPolicy::kNever;
  Exit(Up(spec)[0], 0);
  ASSERT_EQ(State(), InstanceState::kExited);
  supervisor_.Restart(kWeb, [](absl::Status) {});
  EXPECT_EQ(Launches(), 2U);
}

TEST_F(CommandTest, DeleteStopsThenForgets) {
  const InstanceKey key = Up(Plain())[0];
  Outcome deletion;
  supervisor_.Delete("web", deletion.Callback());
  EXPECT_TRUE(supervisor_.Find("web").has_value());
  Exit(key, 0);
  EXPECT_THAT(deletion.status(), IsOk());
  EXPECT_EQ(deletion.calls(), 1);
  EXPECT_FALSE(supervisor_.Find("web").has_value());
  EXPECT_EQ(timers_.pending(), 0U);
}

TEST_F(CommandTest, WhatIsBeingDeletedCannotBeStarted) {
  const InstanceKey key = Up(Plain())[0];
  supervisor_.Delete("web", [](absl::Status) {});
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  // Not kUnavailable: that is what clients call an agent they cannot reach.
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(supervisor_.Add(Plain()),
              StatusIs(absl::StatusCode::kAlreadyExists));
  Exit(key, 0);
  EXPECT_THAT(supervisor_.Add(Plain()), IsOk());
}

TEST_F(CommandTest, ANameThatComesBackHasNewGenerations) {
  const InstanceKey old = Up(Plain())[0];
  supervisor_.Delete("web", [](absl::Status) {});
  Exit(old, 0);
  const InstanceKey key = Up(Plain())[0];
  EXPECT_GT(key.generation, old.generation);
}

TEST_F(CommandTest, StopAllStopsEveryWorkerAtTheSameTime) {
  const InstanceKey web = Up(Plain("web"))[0];
  const InstanceKey api = Up(Plain("api"))[0];
  Outcome all;
  supervisor_.StopAll(all.Callback());
  EXPECT_THAT(SignalsTo(web), ElementsAre(SIGTERM, SIGCONT));
  EXPECT_THAT(SignalsTo(api), ElementsAre(SIGTERM, SIGCONT));
  Exit(web, 0);
  EXPECT_TRUE(all.open());
  Exit(api, 0);
  EXPECT_THAT(all.status(), IsOk());
  EXPECT_EQ(all.calls(), 1);
}

TEST_F(CommandTest, StopAllOfNothingIsDoneAtOnce) {
  Outcome all;
  supervisor_.StopAll(all.Callback());
  EXPECT_THAT(all.status(), IsOk());
  EXPECT_EQ(all.calls(), 1);
}

TEST_F(CommandTest, NothingStartsAfterStopAll) {
  Up(Plain());
  supervisor_.StopAll([](absl::Status) {});
  Outcome start;
  supervisor_.Start(kWeb, start.Callback());
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(supervisor_.Add(Plain("api")),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CommandTest, ACallbackMayGiveTheNextCommand) {
  const InstanceKey key = Up(Plain())[0];
  Outcome start;
  supervisor_.Delete("web", [&](absl::Status) {
    EXPECT_THAT(supervisor_.Add(Plain()), IsOk());
    supervisor_.Start(kWeb, start.Callback());
  });
  Exit(key, 0);
  EXPECT_EQ(Launches(), 2U);
  Spawn(Latest());
  timers_.AdvanceBy(absl::Seconds(1));
  EXPECT_THAT(start.status(), IsOk());
  EXPECT_EQ(start.calls(), 1);
}

TEST_F(CommandTest, ACallbackIsNotCalledFromWithinAnother) {
  ASSERT_THAT(supervisor_.Add(Plain()), IsOk());
  std::vector<std::string> order;
  supervisor_.Stop(kWeb, [&](absl::Status) {
    supervisor_.Stop(kWeb, [&](absl::Status) { order.push_back("inner"); });
    order.push_back("outer");
  });
  EXPECT_THAT(order, ElementsAre("outer", "inner"));
}

TEST(SupervisorEndTest, CallsWhatIsLeftWhenItEnds) {
  apm::testing::FakeTimers timers;
  const apm::testing::FakeClock clock(timers);
  FakeProcesses processes;
  FakeTraffic traffic;
  FakeObserver observer;
  auto supervisor = std::make_unique<Supervisor>(
      Supervisor::Options{.timers = timers,
                          .clock = clock,
                          .processes = processes,
                          .traffic = traffic,
                          .observer = observer,
                          .random = [] { return 0.0; }});
  WorkerSpec spec;
  spec.name = "web";
  ASSERT_THAT(supervisor->Add(spec), IsOk());
  Outcome start;
  supervisor->Start({"web", std::nullopt}, start.Callback());
  supervisor.reset();
  EXPECT_EQ(start.calls(), 1);
  EXPECT_THAT(start.status(), StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(timers.pending(), 0U);
}

TEST_F(CommandTest, GenerationsBeginWhereTheAgentSays) {
  Supervisor later({.timers = timers_,
                    .clock = clock_,
                    .processes = processes_,
                    .traffic = traffic_,
                    .observer = observer_,
                    .random = [] { return 0.0; },
                    .first_generation = 7'000});
  ASSERT_THAT(later.Add(Plain()), IsOk());
  later.Start(kWeb, [](absl::Status) {});
  EXPECT_EQ(Latest().generation, 7'000U);
}

}  // namespace
}  // namespace apm::supervisor
