// Files that are no database, or no longer a whole one.

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

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
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class StateDamageTest : public JournalFixture {
 protected:
  std::string AsideName() const {
    return absl::StrCat("state.db.corrupt-", absl::ToUnixSeconds(clock_.Now()));
  }
};

TEST_F(StateDamageTest, GarbageIsMovedAsideAndSaid) {
  const std::string garbage(10'000, 'x');
  folder_.Write(garbage);
  const DesiredState state = Restart();
  EXPECT_TRUE(state.created);
  ASSERT_THAT(state.warnings, SizeIs(1));
  EXPECT_THAT(state.warnings[0],
              AllOf(HasSubstr("not a database"), HasSubstr(AsideName())));
  std::filesystem::rename(folder_.path() + "/" + AsideName(), folder_.file());
  EXPECT_EQ(folder_.Read(), garbage);
}

TEST_F(StateDamageTest, AfterGarbageTheStateIsKeptAgain) {
  folder_.Write(std::string(10'000, 'x'));
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("web"));
  EXPECT_THAT(state.warnings, IsEmpty());
}

TEST_F(StateDamageTest, ATornPageThatIsNotReadIsFoundAtTheStart) {
  Restart();
  ASSERT_THAT(Save({Worker("web")}), IsOk());
  journal_.reset();
  std::string bytes = folder_.Read();
  ASSERT_EQ(bytes.size(), 4 * 4096u);  // The last is the index of names.
  std::fill_n(bytes.end() - 4096, 4096, '\xAA');
  folder_.Write(bytes);
  const DesiredState state = Restart();
  EXPECT_THAT(state.warnings, SizeIs(1));
  EXPECT_THAT(folder_.Names("state.db.corrupt-"), ElementsAre(AsideName()));
}

TEST_F(StateDamageTest, WhatLiesBesideTheFileGoesWithIt) {
  for (const char* name : {"", "-wal", "-shm"}) {
    std::ofstream(folder_.file() + name) << "x";
  }
  EXPECT_EQ(MoveAside(folder_.file(), clock_.Now()).value(),
            folder_.path() + "/" + AsideName());
  EXPECT_THAT(folder_.Names(""),
              UnorderedElementsAre(AsideName(), AsideName() + "-wal",
                                   AsideName() + "-shm"));
}

TEST_F(StateDamageTest, DamageWhileRunningLosesNothing) {
  Restart();
  for (int i = 0; i < 50; ++i) {
    ASSERT_THAT(Save({Worker(absl::StrCat("worker-", i))}), IsOk());
  }
  const std::string id = Restart().daemon_id;  // The log is in the file now.
  // Behind the schema and `meta`: the rows. Open to the end, as closing it
  // would end the locks of this process.
  constexpr size_t kWhole = 2 * 4096;
  const size_t rows = std::filesystem::file_size(folder_.file()) - kWhole;
  const UniqueFd file(open(folder_.file().c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(pwrite(file.get(), std::string(rows, 'x').data(), rows, kWhole),
            static_cast<ssize_t>(rows));
  // Somebody else's change makes SQLite read its pages again.
  folder_.Execute("INSERT INTO meta VALUES ('x', 'y')");
  ASSERT_THAT(Save({Worker("worker-7", {70})}), IsOk());

  ASSERT_THAT(edges_, SizeIs(2));
  EXPECT_FALSE(edges_[0].first);
  EXPECT_THAT(edges_[0].second, HasSubstr(AsideName()));
  EXPECT_TRUE(edges_[1].first);
  const DesiredState state = Restart();
  EXPECT_THAT(state.workers, SizeIs(50));
  EXPECT_THAT(state.workers[7].instance_ids, ElementsAre(70));
  EXPECT_EQ(state.daemon_id, id);
}

TEST_F(StateDamageTest, ARemovedFileIsWrittenAnewByTheNextSave) {
  const std::string id = Restart().daemon_id;
  ASSERT_THAT(Save({Worker("a")}), IsOk());
  for (const std::string& name : folder_.Names("state.db")) {
    std::filesystem::remove(folder_.path() + "/" + name);
  }
  ASSERT_THAT(Save({Worker("b")}), IsOk());
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("a", "b"));
  EXPECT_EQ(state.daemon_id, id);
}

// As when a copy is restored while the agent runs, against the README.
TEST_F(StateDamageTest, AFileOfOtherRowsIsBroughtInLine) {
  Restart();
  ASSERT_THAT(Save({Worker("a"), Worker("b")}), IsOk());
  journal_.reset();
  const std::string restored = folder_.path() + "/restored";
  std::filesystem::copy_file(folder_.file(), restored);
  Restart();
  ASSERT_THAT(Save({Worker("c")}, {"a", "b"}), IsOk());
  std::filesystem::rename(restored, folder_.file());
  ASSERT_THAT(Save({Worker("d")}), IsOk());
  EXPECT_THAT(Names(Restart()), IsSupersetOf({"c", "d"}));
}

class UnreadableRowTest : public StateDamageTest {
 protected:
  void SetUp() override {
    Restart();
    ASSERT_THAT(Save({Worker("a", {1}), Worker("bad", {2}), Worker("c", {3})}),
                IsOk());
    journal_.reset();
    folder_.Execute("UPDATE workers SET definition = '{' WHERE name = 'bad'");
  }
};

TEST_F(UnreadableRowTest, TheOthersAreReadAndItIsSaid) {
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("a", "c"));
  ASSERT_THAT(state.warnings, SizeIs(1));
  EXPECT_THAT(state.warnings[0], AllOf(HasSubstr("worker 'bad': definition"),
                                       HasSubstr(folder_.file())));
}

TEST_F(UnreadableRowTest, ItStaysWhereItIs) {
  Restart();
  ASSERT_THAT(Save({Worker("d")}), IsOk());
  EXPECT_EQ(
      folder_.QueryText("SELECT definition FROM workers WHERE name = 'bad'"),
      "{");
}

TEST_F(UnreadableRowTest, ItsIdsAreNotGivenAgain) {
  ASSERT_THAT(Restart().next_instance_id, 4u);
}

TEST_F(UnreadableRowTest, ANewWorkerOfItsNameReplacesIt) {
  Restart();
  ASSERT_THAT(Save({Worker("bad", {9})}), IsOk());
  const DesiredState state = Restart();
  EXPECT_THAT(Names(state), ElementsAre("a", "c", "bad"));
  EXPECT_THAT(state.warnings, IsEmpty());
}

TEST_F(UnreadableRowTest, ItCanBeErased) {
  Restart();
  ASSERT_THAT(Save({}, {"bad"}), IsOk());
  EXPECT_THAT(Restart().warnings, IsEmpty());
}

}  // namespace
}  // namespace apm::store
