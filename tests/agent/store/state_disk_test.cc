// Disks that cannot be written, and files that another process holds.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/store/state_file.h"
#include "base/os/unique_fd.h"
#include "tests/agent/store/journal_fixture.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using StateDiskTest = JournalFixture;

TEST_F(StateDiskTest, ASaveThatIsNotWrittenSaysSo) {
  Restart();
  const BrokenDisk broken;
  const absl::Status status = Save({Worker("web")});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("not durable: "), HasSubstr(folder_.file()),
                    HasSubstr("File too large"), HasSubstr("in effect")));
}

TEST_F(StateDiskTest, ThePendingChangeIsWrittenAsSoonAsTheDiskIsWell) {
  Restart();
  BrokenDisk broken;
  Save({Worker("web")}).IgnoreError();
  broken.Repair();
  EXPECT_TRUE(timers_.AdvanceToNext());
  EXPECT_THAT(Names(Restart()), ElementsAre("web"));
}

TEST_F(StateDiskTest, TheNextSaveTakesThePendingOnesAlong) {
  Restart();
  BrokenDisk broken;
  Save({Worker("a")}).IgnoreError();
  broken.Repair();
  EXPECT_THAT(Save({Worker("b")}), IsOk());
  EXPECT_THAT(Names(Restart()), ElementsAre("a", "b"));
}

TEST_F(StateDiskTest, TheLatestOfEachWorkerIsWritten) {
  Restart();
  ASSERT_THAT(Save({Worker("gone"), Worker("stays")}), IsOk());
  BrokenDisk broken;
  Save({Worker("gone", {1}), Worker("stays", {2})}).IgnoreError();
  Save({Worker("stays", {3})}, {"gone"}).IgnoreError();
  broken.Repair();
  timers_.AdvanceToNext();
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("stays"));
  EXPECT_THAT(state.workers[0].instance_ids, ElementsAre(3));
}

TEST_F(StateDiskTest, WhatWasWrittenBeforeSurvivesTheFailure) {
  Restart();
  ASSERT_THAT(Save({Worker("old")}), IsOk());
  {
    const BrokenDisk broken;
    Save({Worker("new")}, {"old"}).IgnoreError();
    journal_.reset();  // The agent ends before it could write.
  }
  EXPECT_THAT(Names(Restart()), ElementsAre("old"));
}

TEST_F(StateDiskTest, RetriesSlowDown) {
  Restart();
  const BrokenDisk broken;
  Save({Worker("web")}).IgnoreError();
  for (const int seconds : {1, 2, 4, 8, 16, 30, 30}) {
    const absl::Duration before = timers_.Now();
    ASSERT_TRUE(timers_.AdvanceToNext());
    EXPECT_EQ(timers_.Now() - before, absl::Seconds(seconds));
  }
}

TEST_F(StateDiskTest, AWellDiskLeavesNoTimer) {
  Restart();
  BrokenDisk broken;
  Save({Worker("web")}).IgnoreError();
  broken.Repair();
  timers_.AdvanceToNext();
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(StateDiskTest, DurabilityIsToldOnceEachWay) {
  Restart();
  BrokenDisk broken;
  Save({Worker("a")}).IgnoreError();
  Save({Worker("b")}).IgnoreError();
  ASSERT_THAT(edges_, SizeIs(1));
  EXPECT_FALSE(edges_[0].first);
  EXPECT_THAT(edges_[0].second, HasSubstr("File too large"));
  broken.Repair();
  timers_.AdvanceToNext();
  ASSERT_THAT(edges_, SizeIs(2));
  EXPECT_EQ(edges_[1], std::pair(true, std::string()));
}

TEST_F(StateDiskTest, AFirstStartWithoutADiskStartsAllTheSame) {
  BrokenDisk broken;
  const DesiredState state = Restart();
  EXPECT_TRUE(state.created);
  EXPECT_THAT(state.warnings, SizeIs(1));
  Save({Worker("web")}).IgnoreError();
  broken.Repair();
  timers_.AdvanceToNext();
  const DesiredState later = Restart();
  EXPECT_EQ(later.daemon_id, state.daemon_id);
  EXPECT_THAT(Names(later), ElementsAre("web"));
}

TEST_F(StateDiskTest, ARestartWithoutADiskBringsTheWorkersBack) {
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  journal_.reset();
  const BrokenDisk broken;
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("web"));
  EXPECT_THAT(state.warnings, SizeIs(1));
  EXPECT_THAT(edges_, SizeIs(1));
}

// --- Another process ---

// A child that holds the file's write lock until the parent is through.
class Holder {
 public:
  explicit Holder(const StateFolder& folder) {
    int ready[2], end[2];
    if (pipe(ready) != 0 || pipe(end) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(end[1]);
      Database database =
          Database::Open(folder.file(), Database::Access::kWrite).value();
      const Transaction transaction = Transaction::Begin(database).value();
      char byte = 0;
      if (write(ready[1], &byte, 1) != 1 || read(end[0], &byte, 1) != 0) {
        abort();
      }
      _exit(0);
    }
    close(ready[1]);
    close(end[0]);
    end_.Reset(end[1]);
    const UniqueFd is_ready(ready[0]);
    char byte = 0;
    if (read(ready[0], &byte, 1) != 1) abort();
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    end_.Reset();
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  UniqueFd end_;
};

TEST_F(StateDiskTest, WhoHoldsTheFileIsNamed) {
  Restart();
  {
    const Holder holder(folder_);
    const absl::Status status = Save({Worker("web")});
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("process ", holder.pid(), " (")));
  }
  timers_.AdvanceToNext();
  EXPECT_THAT(Names(Restart()), ElementsAre("web"));
}

TEST_F(StateDiskTest, AHeldFileIsReadAllTheSame) {
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  journal_.reset();
  const Holder holder(folder_);
  EXPECT_THAT(Names(Restart()), ElementsAre("web"));
}

TEST_F(StateDiskTest, NobodyIsNamedWhereNobodyHoldsIt) {
  Restart();
  EXPECT_EQ(DescribeHolder(folder_.file()), "another process");
}

// --- A disk of its own, in a mount namespace of its own ---

class TinyDiskTest : public StateDiskTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a small disk";
  }

  // Runs `scenario` in a child where the folder is a disk of 256 KiB. What it
  // expects in vain is on stderr, and makes the child fail.
  template <typename Scenario>
  void OnTinyDisk(Scenario scenario) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const bool mounted =
          unshare(CLONE_NEWNS) == 0 &&
          mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
          mount("none", folder_.path().c_str(), "tmpfs", 0, "size=256k") == 0;
      if (!mounted) _exit(77);
      scenario();
      _exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "may not mount here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }

  std::string Junk() const { return folder_.path() + "/junk"; }

  void FillDisk() const { std::ofstream(Junk()) << std::string(1 << 20, 'x'); }

  void MakeReadOnly() const {
    ASSERT_EQ(mount("none", folder_.path().c_str(), nullptr,
                    MS_REMOUNT | MS_RDONLY, nullptr),
              0);
  }
};

TEST_F(TinyDiskTest, AFullDiskIsNamedAndRecoveredFrom) {
  OnTinyDisk([this] {
    Restart();
    FillDisk();
    const absl::Status status = Save({Worker("web")});
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("full"), HasSubstr("make space")));
    std::filesystem::remove(Junk());
    timers_.AdvanceToNext();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
  });
}

TEST_F(TinyDiskTest, ARestartOnAFullDiskBringsTheWorkersBack) {
  OnTinyDisk([this] {
    Restart();
    ASSERT_THAT(Save({Worker("web")}), IsOk());
    journal_.reset();
    FillDisk();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
    EXPECT_THAT(edges_, SizeIs(1));
    std::filesystem::remove(Junk());
    EXPECT_THAT(Save({Worker("b")}), IsOk());
    EXPECT_THAT(edges_, SizeIs(2));
    EXPECT_THAT(Names(Restart()), ElementsAre("web", "b"));
  });
}

TEST_F(TinyDiskTest, AFirstStartOnAFullDiskStartsAllTheSame) {
  OnTinyDisk([this] {
    FillDisk();
    const DesiredState state = Restart();
    EXPECT_TRUE(state.created);
    EXPECT_THAT(state.warnings, SizeIs(1));
    std::filesystem::remove(Junk());
    EXPECT_THAT(Save({Worker("web")}), IsOk());
    EXPECT_EQ(Restart().daemon_id, state.daemon_id);
  });
}

TEST_F(TinyDiskTest, AnOldVersionOnAFullDiskIsReadUnmigrated) {
  OnTinyDisk([this] {
    Restart();
    ASSERT_THAT(Save({Worker("web", {1})}), IsOk());
    journal_.reset();
    folder_.Execute(
        "ALTER TABLE workers DROP COLUMN changed_unix_ms;"
        "PRAGMA user_version = 1");
    FillDisk();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
  });
}

TEST_F(TinyDiskTest, ARestartOnAReadOnlyDiskBringsTheWorkersBack) {
  OnTinyDisk([this] {
    Restart();
    ASSERT_THAT(Save({Worker("web")}), IsOk());
    journal_.reset();
    MakeReadOnly();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
    EXPECT_THAT(Save({Worker("b")}), StatusIs(absl::StatusCode::kDataLoss));
  });
}

TEST_F(TinyDiskTest, TheLogOfAKilledAgentIsReadFromAFullDisk) {
  OnTinyDisk([this] {
    SaveAndBeKilled(Worker("web"));
    FillDisk();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
    std::filesystem::remove(Junk());
    EXPECT_THAT(Save({Worker("b")}), IsOk());
    EXPECT_THAT(Names(Restart()), ElementsAre("web", "b"));
  });
}

// As when a disk fails and the kernel remounts it, and then the agent dies.
TEST_F(TinyDiskTest, TheLogOfAKilledAgentIsReadFromAReadOnlyDisk) {
  OnTinyDisk([this] {
    SaveAndBeKilled(Worker("web"));
    MakeReadOnly();
    EXPECT_THAT(Names(Restart()), ElementsAre("web"));
  });
}

}  // namespace
}  // namespace apm::store
