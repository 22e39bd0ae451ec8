#include "agent/keeper/pid_file.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
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

// A process that has written the file and lives as long as this object.
class OtherKeeper {
 public:
  explicit OtherKeeper(const std::string& path) {
    int written[2];
    EXPECT_EQ(pipe(written), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const absl::StatusOr<PidFile> file = PidFile::Write(path);
      if (file.ok() && write(written[1], "w", 1) == 1) pause();
      _exit(1);
    }
    char byte = 0;
    EXPECT_EQ(read(written[0], &byte, 1), 1);
    close(written[0]);
    close(written[1]);
  }
  OtherKeeper(const OtherKeeper&) = delete;
  OtherKeeper& operator=(const OtherKeeper&) = delete;
  ~OtherKeeper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

TEST_F(PidFileTest, HoldsOurPid) {
  ASSERT_THAT(PidFile::Write(path_), IsOk());
  EXPECT_EQ(Read(), self_);
}

TEST_F(PidFileTest, IsReadableByAllWhateverTheUmask) {
  const mode_t before = umask(077);
  ASSERT_THAT(PidFile::Write(path_), IsOk());
  umask(before);
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms(0644));
}

TEST_F(PidFileTest, ReplacesALinkAndNotWhatItPointsTo) {
  const std::string other = folder_ + "/other";
  std::ofstream(other) << "precious";
  std::filesystem::create_symlink(other, path_);
  ASSERT_THAT(PidFile::Write(path_), IsOk());
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(std::filesystem::file_size(other), 8U);
}

TEST_F(PidFileTest, LeavesNothingBehindWhenItCannotBeWritten) {
  std::filesystem::create_directory(path_);
  EXPECT_FALSE(PidFile::Write(path_).ok());
  std::filesystem::remove(path_);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PidFileTest, SaysWhatCannotBeCreated) {
  const absl::Status status =
      PidFile::Write("/no/such/folder/apm.pid").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(status.message().find("/no/such/folder/apm.pid") !=
              status.message().npos);
}

TEST_F(PidFileTest, IsRemovedIfItIsOurs) {
  absl::StatusOr<PidFile> file = PidFile::Write(path_);
  ASSERT_THAT(file, IsOk());
  file->Remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PidFileTest, IsKeptIfAnotherKeeperHasTakenItOver) {
  absl::StatusOr<PidFile> file = PidFile::Write(path_);
  ASSERT_THAT(file, IsOk());
  Write("1\n");
  file->Remove();
  EXPECT_EQ(Read(), "1\n");
}

TEST_F(PidFileTest, FindsAKeeperThatRuns) {
  const OtherKeeper other(path_);
  EXPECT_EQ(PidFile::Holder(path_), other.pid());
}

TEST_F(PidFileTest, AKeeperThatHasEndedHoldsNothing) {
  { const OtherKeeper other(path_); }
  EXPECT_NE(PidFile::Read(path_), 0);
  EXPECT_EQ(PidFile::Holder(path_), 0);
}

TEST_F(PidFileTest, AnotherProgramWithThatPidIsNoKeeper) {
  Write(std::to_string(getppid()) + "\n");
  EXPECT_EQ(PidFile::Holder(path_), 0);
}

TEST_F(PidFileTest, AKeeperOfAnotherFileWithThatPidIsNotTheOne) {
  const OtherKeeper other(folder_ + "/other.pid");
  Write(std::to_string(other.pid()) + "\n");
  EXPECT_EQ(PidFile::Holder(path_), 0);
}

TEST_F(PidFileTest, WhoeverElseLocksTheFileDoesNotHoldIt) {
  const OtherKeeper other(path_);
  std::ofstream(path_) << getppid() << "\n";  // In place: the lock stays.
  EXPECT_EQ(PidFile::Holder(path_), 0);
}

TEST_F(PidFileTest, NoisyContentNamesNobody) {
  for (const char* text :
       {"", "\n", "keeper", "-1\n", "0\n", "12x\n", "99999999999999999999\n"}) {
    Write(text);
    EXPECT_EQ(PidFile::Holder(path_), 0) << text;
  }
}

}  // namespace
}  // namespace apm::keeper
