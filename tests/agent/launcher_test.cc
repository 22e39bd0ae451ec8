#include "agent/launcher.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/process_identity.h"
#include "tests/agent/far_ends.h"
#include "tests/agent/silent_events.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kInstance = 0;
constexpr uint64_t kGeneration = 7;

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    WorkerRecord& record = records_["web"];
    record.desired.name = "web";
    record.desired.definition.name = "web";
    record.desired.definition.exec = "/bin/sh";
    record.desired.definition.path = "/";
    record.desired.instance_ids = {0};
  }
  ~LauncherTest() override {
    logs_.reset();
    std::filesystem::remove_all(folder_);
  }

  static std::string MakeFolder() {
    std::string name = "/tmp/apm-launcher-XXXXXX";
    return mkdtemp(name.data());
  }

  void UsePipeMode() {
    records_["web"].desired.definition.listeners.emplace_back();
    links_.UseBoard(LinkBoard::Create(3, 5).value(), /*nothing_known=*/false);
  }

  // A process in a group of its own that waits to be killed.
  static pid_t StartVictim() {
    const pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      for (;;) pause();
    }
    setpgid(pid, pid);
    return pid;
  }

  static int End(pid_t pid, int signal) {
    kill(pid, signal);
    int status = 0;
    waitpid(pid, &status, 0);
    return WTERMSIG(status);
  }

  const supervisor::InstanceKey key_{"web", kInstance, kGeneration};
  const std::string folder_ = MakeFolder();
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::pair<UniqueFd, UniqueFd> ends_ = CreateChannelPair().value();
  SilentEvents events_;
  KeeperClient keeper_{*loop_, std::move(ends_.first), events_};
  KeeperEnd keeper_end_{*loop_, std::move(ends_.second)};
  ProxyClient proxy_{*loop_, events_};
  std::unique_ptr<logs::LogStore> logs_ =
      logs::LogStore::Create(folder_ + "/logs").value();
  WorkerRecords records_;
  std::vector<int> failures_;
  NoteBook notes_{keeper_};
  WorkerLinks links_{{*loop_, keeper_, proxy_, *logs_, notes_, {}, {}}};
  Background background_{EventLoop::Create().value()};
  bool swept_ = false;
  Sweeper sweeper_{
      *loop_, background_,
      [this](const supervisor::InstanceKey&,
             const std::vector<supervisor::Survivor>&) { swept_ = true; }};
  Launcher launcher_{{*loop_,
                      keeper_,
                      *logs_,
                      records_,
                      notes_,
                      links_,
                      sweeper_,
                      {},
                      [this](const supervisor::InstanceKey&, std::string_view,
                             int error, std::string_view) {
                        failures_.push_back(error);
                        loop_->Stop();
                      }}};
};

TEST_F(LauncherTest, AFailureIsReportedInALaterTurn) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  records_["web"].desired.definition.exec = "/no/such/program";
  launcher_.Launch(key_);
  EXPECT_THAT(failures_, IsEmpty());
  loop_->Run();
  EXPECT_THAT(failures_, ElementsAre(ENOENT));
}

TEST_F(LauncherTest, AFailureHereLeavesNothingWithTheKeeper) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  records_["web"].desired.definition.exec = "/no/such/program";
  launcher_.Remember(key_, supervisor::ProcessMemo());
  launcher_.Launch(key_);
  loop_->Run();
  launcher_.OnSpawnFailed(key_);  // As the supervisor's owner does.
  EXPECT_THAT(keeper_end_.notes(), IsEmpty());
  EXPECT_THAT(keeper_end_.fds(), IsEmpty());
  EXPECT_EQ(notes_.Find(key_), nullptr);
}

TEST_F(LauncherTest, WhatASuccessorNeedsIsKeptBeforeTheProcessIsThere) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  UsePipeMode();
  launcher_.Remember(key_, supervisor::ProcessMemo());
  launcher_.Launch(key_);
  EXPECT_THAT(keeper_end_.Said(),
              ElementsAre("put stdin:web/0/7", "put stdout:web/0/7",
                          "put stderr:web/0/7", "note process:web/0/7",
                          "spawn web/0/7"));
}

TEST_F(LauncherTest, AWorkerWithoutAProxyHasNoStdinToKeep) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  launcher_.Launch(key_);
  EXPECT_THAT(keeper_end_.Said(),
              ElementsAre("put stdout:web/0/7", "put stderr:web/0/7",
                          "note process:web/0/7", "spawn web/0/7"));
}

TEST_F(LauncherTest, CloseAcknowledgesTheExitAndDropsAllThatWasKept) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  UsePipeMode();
  launcher_.Launch(key_);
  keeper_end_.Said();
  launcher_.Close(key_);
  EXPECT_THAT(keeper_end_.Said(),
              ElementsAre("ack web/0/7", "drop stdin:web/0/7",
                          "drop stdout:web/0/7", "drop stderr:web/0/7",
                          "drop stray:web/0/7", "drop note process:web/0/7"));
  EXPECT_EQ(launcher_.Pid(key_), 0);
}

TEST_F(LauncherTest, AFailedSpawnIsDroppedWithoutAnAcknowledgement) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  launcher_.Launch(key_);
  keeper_end_.Said();
  launcher_.OnSpawnFailed(key_);
  EXPECT_THAT(keeper_end_.Said(),
              ElementsAre("drop stdin:web/0/7", "drop stdout:web/0/7",
                          "drop stderr:web/0/7", "drop stray:web/0/7",
                          "drop note process:web/0/7"));
}

TEST_F(LauncherTest, ASweepBeginsWithTheGroup) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  launcher_.Sweep(key_);
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("signal 9 to web/0/7"));
  RunUntil(*loop_, [this] { return swept_; });
}

TEST_F(LauncherTest, AWorkerThatWasDeletedMeanwhileIsAFailureToo) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  records_.clear();
  launcher_.Launch(key_);
  loop_->Run();
  EXPECT_THAT(failures_, ElementsAre(ENOENT));
}

TEST_F(LauncherTest, KillsWhatRunsWhenTheKeeperHasGone) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  launcher_.Launch(key_);
  const pid_t pid = StartVictim();
  launcher_.OnSpawned(key_, pid, ProcessStartTicks(pid).value());
  launcher_.KillAll();
  EXPECT_EQ(End(pid, SIGTERM), SIGKILL);  // The first signal was ours.
}

TEST_F(LauncherTest, DoesNotKillAStrangerWithThePidOfAnOldProcess) {
  ASSERT_THAT(keeper_.Start(), IsOk());
  launcher_.Launch(key_);
  const pid_t pid = StartVictim();
  launcher_.OnSpawned(key_, pid, ProcessStartTicks(pid).value() - 1);
  launcher_.KillAll();
  EXPECT_EQ(End(pid, SIGTERM), SIGTERM);
}

}  // namespace
}  // namespace apm::agent
