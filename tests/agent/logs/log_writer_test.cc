#include "agent/logs/log_writer.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/agent/logs/temp_folder.h"

namespace apm::logs {
namespace {

class LogWriterTest : public ::testing::Test {
 protected:
  // A disk with `space_` bytes left.
  WriteFunction SmallDisk() {
    return [this](int fd, const char* data, size_t size) -> ssize_t {
      ++writes_;
      if (space_ == 0) {
        errno = ENOSPC;
        return -1;
      }
      const size_t fits = std::min(space_, size);
      space_ -= fits;
      return SystemWrite(fd, data, fits);
    };
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "web.log";
  size_t space_ = 1 << 20;
  int writes_ = 0;
};

TEST_F(LogWriterTest, AppendsToWhatIsThere) {
  LogWriter(path_, SystemWrite).Append("one\n");
  LogWriter(path_, SystemWrite).Append("two\n");
  EXPECT_EQ(Contents(path_), "one\ntwo\n");
}

TEST_F(LogWriterTest, ABatchIsOneWrite) {
  LogWriter writer(path_, SmallDisk());
  EXPECT_EQ(writer.Append("one\ntwo\nthree\n"), 14U);
  EXPECT_EQ(writes_, 1);
}

TEST_F(LogWriterTest, TheFileIsNotForEverybody) {
  LogWriter(path_, SystemWrite).Append("secret\n");
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0137U, 0U);  // At most 0640, less the umask.
}

TEST_F(LogWriterTest, AFullDiskSaysHowMuchIsWritten) {
  LogWriter writer(path_, SmallDisk());
  space_ = 6;
  EXPECT_EQ(writer.Append("one\ntwo\n"), 6U);
  EXPECT_EQ(writer.Append("three\n"), 0U);
  EXPECT_EQ(Contents(path_), "one\ntw");
}

TEST_F(LogWriterTest, ALineTornByAFullDiskSpoilsNoOther) {
  LogWriter writer(path_, SmallDisk());
  space_ = 6;
  writer.Append("one\ntwo\n");
  writer.Append("three\n");
  space_ = 100;
  EXPECT_EQ(writer.Append("four\n"), 5U);
  EXPECT_EQ(Contents(path_), "one\ntw\nfour\n");
}

TEST_F(LogWriterTest, AnInterruptedWriteIsRepeated) {
  bool interrupted = false;
  LogWriter writer(path_, [&](int fd, const char* data, size_t size) {
    if (!std::exchange(interrupted, true)) {
      errno = EINTR;
      return ssize_t{-1};
    }
    return SystemWrite(fd, data, size);
  });
  EXPECT_EQ(writer.Append("one\n"), 4U);
  EXPECT_EQ(Contents(path_), "one\n");
}

TEST_F(LogWriterTest, AFileThatFailedIsOpenedAnew) {
  LogWriter writer(path_, SmallDisk());
  space_ = 4;
  writer.Append("one\n");
  writer.Append("lost\n");
  std::filesystem::remove(path_);  // That is how space is made.
  space_ = 100;
  writer.Append("two\n");
  EXPECT_EQ(Contents(path_), "two\n");
}

TEST_F(LogWriterTest, AFolderThatComesLateIsUsedFromThenOn) {
  LogWriter writer(folder_ / "late/web.log", SystemWrite);
  EXPECT_EQ(writer.Append("lost\n"), 0U);
  std::filesystem::create_directory(folder_ / "late");
  EXPECT_EQ(writer.Append("kept\n"), 5U);
  EXPECT_EQ(Contents(folder_ / "late/web.log"), "kept\n");
}

TEST_F(LogWriterTest, DoesNotFollowALink) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_EQ(LogWriter(path_, SystemWrite).Append("one\n"), 0U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

}  // namespace
}  // namespace apm::logs
