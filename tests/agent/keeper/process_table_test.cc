#include "agent/keeper/process_table.h"

#include <fcntl.h>

#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apm/internal/v1/keeper.pb.h"

namespace apm::keeper {
namespace {

using ::testing::ElementsAre;
using ::testing::IsNull;
using ::testing::NotNull;

const ProcessKey kWeb{"web", 0, 1};
const ProcessKey kApi{"api", 0, 1};

class ProcessTableTest : public ::testing::Test {
 protected:
  void Start(const ProcessKey& key, pid_t pid) {
    Process process;
    process.pid = pid;
    process.failure_pipe.Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    table_.Add(key, std::move(process));
  }

  ProcessTable table_;
};

TEST_F(ProcessTableTest, KeyIsWorkerInstanceAndGeneration) {
  Start(kWeb, 10);
  EXPECT_THAT(table_.Find({"web", 0, 1}), NotNull());
  EXPECT_THAT(table_.Find({"web", 0, 2}), IsNull());
  EXPECT_THAT(table_.Find({"web", 1, 1}), IsNull());
  EXPECT_THAT(table_.Find({"api", 0, 1}), IsNull());
}

TEST_F(ProcessTableTest, KeySurvivesTheWayThroughAMessage) {
  EXPECT_EQ(ProcessKey::From(kWeb.ToProto()), kWeb);
}

TEST_F(ProcessTableTest, RunningProcessHasNoFailurePipe) {
  Start(kWeb, 10);
  table_.SetRunning(kWeb);
  EXPECT_EQ(table_.Find(kWeb)->state, Process::State::kRunning);
  EXPECT_FALSE(table_.Find(kWeb)->failure_pipe);
}

TEST_F(ProcessTableTest, FindsByPidUntilTheProcessIsReaped) {
  Start(kWeb, 10);
  ASSERT_THAT(table_.FindUnreaped(10), NotNull());
  EXPECT_EQ(*table_.FindUnreaped(10), kWeb);
  EXPECT_THAT(table_.FindUnreaped(11), IsNull());
  table_.SetExited(kWeb, {});
  EXPECT_THAT(table_.FindUnreaped(10), IsNull());
}

TEST_F(ProcessTableTest, ExitIsKeptUntilItIsForgotten) {
  Start(kWeb, 10);
  internal::v1::Exited exited;
  exited.set_status(3);
  table_.SetExited(kWeb, exited);
  ASSERT_THAT(table_.Find(kWeb), NotNull());
  EXPECT_EQ(table_.Find(kWeb)->exited.status(), 3);
  table_.Forget(kWeb);
  EXPECT_THAT(table_.Find(kWeb), IsNull());
}

TEST_F(ProcessTableTest, ForgettingAnExitSparesTheNextOwnerOfItsPid) {
  Start(kWeb, 10);
  table_.SetExited(kWeb, {});
  Start(kApi, 10);
  table_.Forget(kWeb);
  ASSERT_THAT(table_.FindUnreaped(10), NotNull());
  EXPECT_EQ(*table_.FindUnreaped(10), kApi);
}

TEST_F(ProcessTableTest, ForgettingAFailedStartForgetsItsPid) {
  Start(kWeb, 10);
  table_.Forget(kWeb);
  EXPECT_THAT(table_.FindUnreaped(10), IsNull());
  table_.Forget(kWeb);
}

TEST_F(ProcessTableTest, VisitsAll) {
  Start(kWeb, 10);
  Start(kApi, 11);
  std::vector<pid_t> pids;
  table_.ForEach([&](const ProcessKey&, const Process& process) {
    pids.push_back(process.pid);
  });
  EXPECT_THAT(pids, ElementsAre(11, 10));
}

TEST_F(ProcessTableTest, IsFullAtItsLimit) {
  for (uint64_t i = 1; i < ProcessTable::kMaxProcesses; ++i) {
    table_.Add({"web", 0, i}, Process{});
  }
  EXPECT_FALSE(table_.full());
  table_.Add({"web", 0, ProcessTable::kMaxProcesses}, Process{});
  EXPECT_TRUE(table_.full());
}

}  // namespace
}  // namespace apm::keeper
