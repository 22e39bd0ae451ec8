#include "agent/supervisor/worker_state.h"

#include <vector>

#include <gtest/gtest.h>

namespace apm::supervisor {
namespace {

using I = InstanceState;

WorkerState Derive(const std::vector<InstanceState>& instances) {
  return DeriveWorkerState(instances);
}

TEST(WorkerStateTest, IsReadyOnlyIfEveryInstanceIs) {
  EXPECT_EQ(Derive({I::kReady}), WorkerState::kReady);
  EXPECT_EQ(Derive({I::kReady, I::kReady}), WorkerState::kReady);
}

TEST(WorkerStateTest, IsDegradedWhereSomeInstancesServeAndSomeDoNot) {
  for (const I other : {I::kUnready, I::kStopping, I::kBackoff, I::kCrashloop,
                        I::kExited, I::kFailed, I::kStopped}) {
    EXPECT_EQ(Derive({I::kReady, other}), WorkerState::kDegraded)
        << Name(other);
  }
  EXPECT_EQ(Derive({I::kUnready}), WorkerState::kDegraded);
}

TEST(WorkerStateTest, IsStartingOnItsWayUp) {
  EXPECT_EQ(Derive({I::kStarting, I::kStarting}), WorkerState::kStarting);
  EXPECT_EQ(Derive({I::kReady, I::kStarting}), WorkerState::kStarting);
  EXPECT_EQ(Derive({I::kBackoff}), WorkerState::kStarting);
}

TEST(WorkerStateTest, IsCrashloopIfNoneServesAndOneLoops) {
  EXPECT_EQ(Derive({I::kCrashloop}), WorkerState::kCrashloop);
  EXPECT_EQ(Derive({I::kCrashloop, I::kStarting}), WorkerState::kCrashloop);
}

TEST(WorkerStateTest, IsStoppingWhileTheLastOnesStop) {
  EXPECT_EQ(Derive({I::kStopping, I::kStopped}), WorkerState::kStopping);
}

TEST(WorkerStateTest, IsStoppedWhenAllHaveStoppedOrEnded) {
  EXPECT_EQ(Derive({I::kStopped, I::kExited}), WorkerState::kStopped);
}

TEST(WorkerStateTest, IsFailedIfNothingRunsBecauseItCannot) {
  EXPECT_EQ(Derive({I::kFailed, I::kStopped}), WorkerState::kFailed);
}

}  // namespace
}  // namespace apm::supervisor
