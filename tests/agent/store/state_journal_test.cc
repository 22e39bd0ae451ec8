#include "agent/store/state_journal.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/store/journal_fixture.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

using StateJournalTest = JournalFixture;

TEST_F(StateJournalTest, TheFirstStartMakesTheState) {
  const DesiredState state = Restart();
  EXPECT_TRUE(state.created);
  EXPECT_THAT(state.workers, IsEmpty());
  EXPECT_THAT(state.warnings, IsEmpty());
  EXPECT_THAT(state.daemon_id, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(state.next_instance_id, 1u);
}

TEST_F(StateJournalTest, TheDaemonIdStays) {
  const std::string id = Restart().daemon_id;
  const DesiredState state = Restart();
  EXPECT_EQ(state.daemon_id, id);
  EXPECT_FALSE(state.created);
}

TEST_F(StateJournalTest, TwoDaemonsHaveTwoIds) {
  const std::string id = Restart().daemon_id;
  std::filesystem::remove(folder_.file());
  EXPECT_NE(Restart().daemon_id, id);
}

TEST_F(StateJournalTest, AWorkerComesBackWhole) {
  Restart();
  DesiredWorker worker = FullWorker();
  ASSERT_THAT(Save({worker}), IsOk());
  worker.changed = clock_.Now();
  EXPECT_THAT(Restart().workers, ElementsAre(worker));
}

TEST_F(StateJournalTest, ASaveReplacesTheWholeWorker) {
  Restart();
  ASSERT_THAT(Save({FullWorker()}), IsOk());
  timers_.AdvanceBy(absl::Minutes(1));
  DesiredWorker plain = Worker("web", {7, 8, 12});
  ASSERT_THAT(Save({plain}), IsOk());
  plain.changed = clock_.Now();
  EXPECT_THAT(Restart().workers, ElementsAre(plain));
}

TEST_F(StateJournalTest, WorkersStayInTheOrderTheyWereFirstSaved) {
  Restart();
  ASSERT_THAT(Save({Worker("zoe"), Worker("adam")}), IsOk());
  ASSERT_THAT(Save({Worker("mia")}), IsOk());
  ASSERT_THAT(Save({Worker("zoe")}), IsOk());
  EXPECT_THAT(Names(Restart()), ElementsAre("zoe", "adam", "mia"));
}

TEST_F(StateJournalTest, AnErasedWorkerIsGone) {
  Restart();
  ASSERT_THAT(Save({Worker("a"), Worker("b")}), IsOk());
  ASSERT_THAT(Save({}, {"a", "never-there"}), IsOk());
  EXPECT_THAT(Names(Restart()), ElementsAre("b"));
}

TEST_F(StateJournalTest, OneSaveErasesAndMakesTheSameName) {
  Restart();
  ASSERT_THAT(Save({Worker("a", {1})}), IsOk());
  ASSERT_THAT(Save({Worker("a", {2})}, {"a"}), IsOk());
  EXPECT_THAT(Restart().workers[0].instance_ids, ElementsAre(2));
}

TEST_F(StateJournalTest, InstanceIdsAreNeverGivenAgain) {
  Restart();
  ASSERT_THAT(Save({Worker("a", {1, 2, 9})}), IsOk());
  ASSERT_THAT(Save({}, {"a"}), IsOk());
  EXPECT_EQ(Restart().next_instance_id, 10u);
}

TEST_F(StateJournalTest, IdsOfAWorkerThatWasErasedBeforeTheCommitCount) {
  Restart();
  journal_->Save({Worker("a", {4})}, {}, [](absl::Status) {});
  ASSERT_THAT(Save({}, {"a"}), IsOk());
  EXPECT_EQ(Restart().next_instance_id, 5u);
}

TEST_F(StateJournalTest, NothingIsAnsweredBeforeTheCommit) {
  Restart();
  std::vector<std::pair<char, absl::Status>> answers;
  journal_->Save({Worker("a")}, {}, [&](absl::Status status) {
    answers.emplace_back('a', std::move(status));
  });
  journal_->Save({Worker("b")}, {"a"}, [&](absl::Status status) {
    answers.emplace_back('b', std::move(status));
  });
  EXPECT_THAT(answers, IsEmpty());
  journal_->Commit();
  EXPECT_THAT(answers, ElementsAre(std::pair('a', absl::OkStatus()),
                                   std::pair('b', absl::OkStatus())));
  EXPECT_THAT(Names(Restart()), ElementsAre("b"));
}

TEST_F(StateJournalTest, AnAnsweredSaveIsInTheFileWhileTheAgentRuns) {
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  EXPECT_EQ(folder_.QueryText("SELECT name FROM workers"), "web");
}

TEST_F(StateJournalTest, ASaveWritesWhatChangedAndNoMore) {
  Restart();
  ASSERT_THAT(Save({Worker("a")}), IsOk());
  folder_.Execute("UPDATE workers SET owner = 'mark'");
  ASSERT_THAT(Save({Worker("b")}), IsOk());
  EXPECT_EQ(folder_.QueryText("SELECT owner FROM workers WHERE name = 'a'"),
            "mark");
}

TEST_F(StateJournalTest, ACleanCloseLeavesOneFile) {
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  journal_.reset();
  EXPECT_THAT(folder_.Names(""), ElementsAre("state.db"));
}

TEST_F(StateJournalTest, TheFilesAreTheUsersAlone) {
  const mode_t before = umask(0);
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  umask(before);
  for (const std::string& name : folder_.Names("state.db")) {
    struct stat status {};
    ASSERT_EQ(stat((folder_.path() + "/" + name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u) << name;
  }
  EXPECT_EQ(folder_.Names("state.db").size(), 3u);
}

TEST_F(StateJournalTest, AFileThatAllMayReadIsCorrected) {
  Restart();
  journal_.reset();
  ASSERT_EQ(chmod(folder_.file().c_str(), 0644), 0);
  Restart();
  struct stat status {};
  ASSERT_EQ(stat(folder_.file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(StateJournalTest, ASymlinkIsNotFollowed) {
  const std::string target = folder_.path() + "/target";
  ASSERT_EQ(symlink(target.c_str(), folder_.file().c_str()), 0);
  const auto state = Open();
  EXPECT_THAT(state, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(state.status().message()), HasSubstr("symlink"));
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(StateJournalTest, AFolderThatIsASymlinkIsFine) {
  const StateFolder other;
  std::filesystem::create_directory_symlink(folder_.path(),
                                            other.path() + "/link");
  StateJournal journal(other.path() + "/link/state.db", nullptr, timers_,
                       clock_);
  EXPECT_THAT(journal.Load(), IsOk());
  EXPECT_THAT(folder_.Names(""), Contains("state.db"));
}

TEST_F(StateJournalTest, AFifoIsRefusedWithoutWaiting) {
  ASSERT_EQ(mkfifo(folder_.file().c_str(), 0600), 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(StateJournalTest, AFileOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  folder_.Write("");
  ASSERT_EQ(chown(folder_.file().c_str(), 12345, 12345), 0);
  const auto state = Open();
  EXPECT_THAT(state, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(state.status().message()), HasSubstr("uid 12345"));
}

TEST_F(StateJournalTest, AFolderThatIsMissingIsNamed) {
  StateJournal journal(folder_.path() + "/none/state.db", nullptr, timers_,
                       clock_);
  const auto state = journal.Load();
  EXPECT_THAT(state, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(state.status().message()), HasSubstr("/none/"));
}

TEST_F(StateJournalTest, WithoutAStateASaveSaysWhy) {
  folder_.Execute("CREATE TABLE other (a)");
  ASSERT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition));
  const absl::Status status = Save({Worker("web")});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr("another program"));
}

}  // namespace
}  // namespace apm::store
