#include "agent/keeper/pid_file.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::keeper {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

class PidFileTest : public ::testing::Test {
 protected:
  PidFileTest() {
    std::string name = ::testing::TempDir() + "/pid-file-XXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/apm.pid";
  }
  ~PidFileTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  std::string Read() {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string self_ = std::to_string(getpid()) + "\n";
  std::string folder_;
  std::string path_;
};

TEST_F(PidFileTest, HoldsOurPid) {
  ASSERT_THAT(WritePidFile(path_), IsOk());
  EXPECT_EQ(Read(), self_);
}

TEST_F(PidFileTest, IsReadableByAllWhateverTheUmask) {
  const mode_t before = umask(077);
  ASSERT_THAT(WritePidFile(path_), IsOk());
  umask(before);
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms(0644));
}

TEST_F(PidFileTest, ReplacesALinkAndNotWhatItPointsTo) {
  const std::string other = folder_ + "/other";
  std::ofstream(other) << "precious";
  std::filesystem::create_symlink(other, path_);
  ASSERT_THAT(WritePidFile(path_), IsOk());
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(std::filesystem::file_size(other), 8U);
}

TEST_F(PidFileTest, LeavesNothingBehindWhenItCannotBeWritten) {
  std::filesystem::create_directory(path_);
  EXPECT_FALSE(WritePidFile(path_).ok());
  std::filesystem::remove(path_);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PidFileTest, SaysWhatCannotBeCreated) {
  const absl::Status status = WritePidFile("/no/such/folder/apm.pid");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(status.message().find("/no/such/folder/apm.pid") !=
              status.message().npos);
}

TEST_F(PidFileTest, IsRemovedIfItIsOurs) {
  ASSERT_THAT(WritePidFile(path_), IsOk());
  RemovePidFile(path_);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, IsKeptIfAnotherKeeperHasTakenItOver) {
  Write("1\n");
  RemovePidFile(path_);
  EXPECT_EQ(Read(), "1\n");
}

TEST_F(PidFileTest, FindsAKeeperThatRuns) {
  int gate[2];
  int ready[2];
  ASSERT_EQ(pipe(gate), 0);
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    prctl(PR_SET_NAME, "apm-keeper");
    close(gate[1]);
    if (write(ready[1], "r", 1) == 1) {
      while (read(gate[0], &byte, 1) > 0) {
      }
    }
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  Write(std::to_string(child) + "\n");
  EXPECT_EQ(RunningKeeper(path_), child);
  for (const int fd : {gate[0], gate[1], ready[0], ready[1]}) close(fd);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(RunningKeeper(path_), 0);
}

TEST_F(PidFileTest, AnotherProgramIsNoKeeper) {
  Write(std::to_string(getppid()) + "\n");
  EXPECT_EQ(RunningKeeper(path_), 0);
}

TEST_F(PidFileTest, NoisyContentNamesNobody) {
  for (const char* text :
       {"", "\n", "keeper", "-1\n", "0\n", "12x\n", "99999999999999999999\n"}) {
    Write(text);
    EXPECT_EQ(RunningKeeper(path_), 0) << text;
  }
}

}  // namespace
}  // namespace apm::keeper
