#include "base/fault/fault.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fault/board.h"
#include "base/os/unique_fd.h"

namespace apm::fault {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// How a run of fault_walker went: what it said, and how it ended.
struct Walk {
  std::string said;
  int wait_status = 0;

  bool killed() const {
    // The shell in between reports a signal as 128 + its number.
    return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 128 + SIGKILL;
  }
};

class FaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/apm-fault-XXXXXX";
    const UniqueFd file(mkstemp(path));
    path_ = path;
    ASSERT_EQ(ftruncate(file.get(), sizeof(Board)), 0);
    ASSERT_EQ(pwrite(file.get(), kMagic, sizeof kMagic, 0),
              static_cast<ssize_t>(sizeof kMagic));
    board_ = MapBoard(path);
    ASSERT_NE(board_, nullptr);
  }
  void TearDown() override { unlink(path_.c_str()); }

  void Arm(const char* name, int countdown) {
    snprintf(board_->name, sizeof board_->name, "%s", name);
    board_->countdown = countdown;
    board_->trap = Trap::kArmed;
  }

  Walk Run(const std::string& kind, const std::string& points) const {
    const std::string command = std::string(kFileVariable) + "=" + path_ + " " +
                                APM_BIN_DIR + "/../tests/fault_walker_" + kind +
                                " " + points + "; exit $?";
    FILE* output = popen(command.c_str(), "r");
    Walk walk;
    char piece[256];
    while (fgets(piece, sizeof piece, output) != nullptr) walk.said += piece;
    walk.wait_status = pclose(output);
    return walk;
  }

  std::string path_;
  Board* board_ = nullptr;
};

TEST_F(FaultTest, APointOfTheProductDoesNothing) {
  Arm("a", 1);
  board_->tracing = 1;
  EXPECT_EQ(Run("off", "a").said, "a\nend\n");
  EXPECT_EQ(board_->visits, 0U);
  EXPECT_EQ(board_->trap, Trap::kArmed);
}

TEST_F(FaultTest, AVariantDiesAtTheVisitThatWasAskedFor) {
  Arm("b", 2);
  const Walk walk = Run("on", "a b a b c");
  EXPECT_TRUE(walk.killed());
  EXPECT_EQ(walk.said, "a\nb\na\n");
  EXPECT_EQ(board_->trap, Trap::kSprung);
  EXPECT_GT(board_->victim, 0);
}

TEST_F(FaultTest, TheProcessThatComesAfterLives) {
  Arm("a", 1);
  ASSERT_TRUE(Run("on", "a").killed());
  EXPECT_THAT(Run("on", "a").said, EndsWith("end\n"));
}

TEST_F(FaultTest, AMemberOfAFamilyIsNamedByItsNumber) {
  Arm("walker.end.7", 1);
  EXPECT_TRUE(Run("on", "a").killed());
}

TEST_F(FaultTest, VisitsAreWrittenDownInOrder) {
  board_->tracing = 1;
  Run("on", "first second");
  ASSERT_EQ(board_->visits, 3U);
  EXPECT_STREQ(board_->trace[0].name, "first");
  EXPECT_STREQ(board_->trace[1].name, "second");
  EXPECT_STREQ(board_->trace[2].name, "walker.end.7");
  EXPECT_GT(board_->trace[0].pid, 0);
}

TEST_F(FaultTest, AVisitAfterTheLastPlaceIsCountedOnly) {
  board_->tracing = 1;
  board_->visits = kTraceCapacity;
  EXPECT_THAT(Run("on", "a").said, EndsWith("end\n"));
  EXPECT_EQ(board_->visits, kTraceCapacity + 2);
}

TEST_F(FaultTest, ANameThatIsTooLongIsNeverATrap) {
  const std::string name(kNameBytes, 'x');
  memcpy(board_->name, name.data(), kNameBytes - 1);
  board_->countdown = 1;
  board_->trap = Trap::kArmed;
  EXPECT_THAT(Run("on", name).said, EndsWith("end\n"));
}

TEST_F(FaultTest, AVariantWithoutATestRunsAsTheProduct) {
  const std::string command =
      std::string(APM_BIN_DIR) + "/../tests/fault_walker_on a > /dev/null";
  EXPECT_EQ(system(command.c_str()), 0);
}

TEST_F(FaultTest, AVariantRefusesAFileThatIsNoBoard) {
  ASSERT_EQ(truncate(path_.c_str(), 8), 0);
  EXPECT_EQ(Run("on", "a 2>&1").said.find("a\n"), std::string::npos);
}

}  // namespace
}  // namespace apm::fault
