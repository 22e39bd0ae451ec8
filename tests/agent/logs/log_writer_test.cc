#include "agent/logs/log_writer.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "agent/logs/log_line.h"
#include "agent/logs/log_policy.h"
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
  absl::Time now_ = absl::FromUnixSeconds(1'790'000'000);
  size_t space_ = 1 << 20;
  int writes_ = 0;
};

TEST_F(LogWriterTest, AppendsToWhatIsThere) {
  LogWriter(path_, {}, SystemWrite).Append("one\n", now_);
  LogWriter(path_, {}, SystemWrite).Append("two\n", now_);
  EXPECT_EQ(Contents(path_), "one\ntwo\n");
}

TEST_F(LogWriterTest, ABatchIsOneWrite) {
  LogWriter writer(path_, {}, SmallDisk());
  EXPECT_EQ(writer.Append("one\ntwo\nthree\n", now_), 14U);
  EXPECT_EQ(writes_, 1);
}

TEST_F(LogWriterTest, TheFileIsNotForEverybody) {
  LogWriter(path_, {}, SystemWrite).Append("secret\n", now_);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0137U, 0U);  // At most 0640, less the umask.
}

TEST_F(LogWriterTest, AFullDiskSaysHowMuchIsWritten) {
  LogWriter writer(path_, {}, SmallDisk());
  space_ = 6;
  EXPECT_EQ(writer.Append("one\ntwo\n", now_), 6U);
  EXPECT_EQ(writer.Append("three\n", now_), 0U);
  EXPECT_EQ(Contents(path_), "one\ntw");
}

TEST_F(LogWriterTest, ALineTornByAFullDiskSpoilsNoOther) {
  LogWriter writer(path_, {}, SmallDisk());
  space_ = 6;
  writer.Append("one\ntwo\n", now_);
  writer.Append("three\n", now_);
  space_ = 100;
  EXPECT_EQ(writer.Append("four\n", now_), 5U);
  EXPECT_EQ(Contents(path_), "one\ntw\nfour\n");
}

TEST_F(LogWriterTest, AnInterruptedWriteIsRepeated) {
  bool interrupted = false;
  LogWriter writer(path_, {}, [&](int fd, const char* data, size_t size) {
    if (!std::exchange(interrupted, true)) {
      errno = EINTR;
      return ssize_t{-1};
    }
    return SystemWrite(fd, data, size);
  });
  EXPECT_EQ(writer.Append("one\n", now_), 4U);
  EXPECT_EQ(Contents(path_), "one\n");
}

TEST_F(LogWriterTest, AFileThatFailedIsOpenedAnew) {
  LogWriter writer(path_, {}, SmallDisk());
  space_ = 4;
  writer.Append("one\n", now_);
  writer.Append("lost\n", now_);
  std::filesystem::remove(path_);  // That is how space is made.
  space_ = 100;
  writer.Append("two\n", now_);
  EXPECT_EQ(Contents(path_), "two\n");
}

TEST_F(LogWriterTest, AFolderThatComesLateIsUsedFromThenOn) {
  LogWriter writer(folder_ / "late/web.log", {}, SystemWrite);
  EXPECT_EQ(writer.Append("lost\n", now_), 0U);
  std::filesystem::create_directory(folder_ / "late");
  EXPECT_EQ(writer.Append("kept\n", now_), 5U);
  EXPECT_EQ(Contents(folder_ / "late/web.log"), "kept\n");
}

TEST_F(LogWriterTest, DoesNotFollowALink) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_EQ(LogWriter(path_, {}, SystemWrite).Append("one\n", now_), 0U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

TEST_F(LogWriterTest, ALineThatAKilledAgentLeftOpenIsEnded) {
  std::ofstream(path_) << "one\ntw";
  LogWriter(path_, {}, SystemWrite).Append("three\n", now_);
  EXPECT_EQ(Contents(path_), "one\ntw\nthree\n");
}

TEST_F(LogWriterTest, ARemovedFileIsMadeAnew) {
  LogWriter writer(path_, {}, SystemWrite);
  writer.Append("one\n", now_);
  std::filesystem::remove(path_);
  writer.Append("two\n", now_);
  EXPECT_EQ(Contents(path_), "two\n");
}

// ---- Rotation ----

TEST_F(LogWriterTest, AFullFileMovesAside) {
  LogWriter writer(path_, {.max_bytes = 8}, SystemWrite);
  writer.Append("one\n", now_);
  writer.Append("two\n", now_);
  writer.Append("three\n", now_);
  EXPECT_EQ(Contents(path_ + ".1"), "one\ntwo\n");
  EXPECT_EQ(Contents(path_), "three\n");
}

TEST_F(LogWriterTest, ABatchIsSplitBetweenLines) {
  LogWriter writer(path_, {.max_bytes = 10}, SystemWrite);
  EXPECT_EQ(writer.Append("one\ntwo\nthree\nfour\n", now_), 19U);
  EXPECT_EQ(Contents(path_ + ".2"), "one\ntwo\n");
  EXPECT_EQ(Contents(path_ + ".1"), "three\n");
  EXPECT_EQ(Contents(path_), "four\n");
}

TEST_F(LogWriterTest, ALineLargerThanAFileHasOneOfItsOwn) {
  LogWriter writer(path_, {.max_bytes = 4}, SystemWrite);
  writer.Append("a\nthis is too long\nb\n", now_);
  EXPECT_EQ(Contents(path_ + ".2"), "a\n");
  EXPECT_EQ(Contents(path_ + ".1"), "this is too long\n");
  EXPECT_EQ(Contents(path_), "b\n");
}

TEST_F(LogWriterTest, KeepsAsManyAsItIsTold) {
  LogWriter writer(path_, {.max_bytes = 1, .keep = 2}, SystemWrite);
  writer.Append("1\n2\n3\n4\n5\n", now_);
  EXPECT_EQ(Contents(path_ + ".2"), "3\n");
  EXPECT_EQ(Contents(path_ + ".1"), "4\n");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".3"));
}

TEST_F(LogWriterTest, KeepingNoneLeavesTheNewest) {
  LogWriter writer(path_, {.max_bytes = 1, .keep = 0}, SystemWrite);
  writer.Append("1\n2\n", now_);
  EXPECT_EQ(Contents(path_), "2\n");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".1"));
}

TEST_F(LogWriterTest, FilesBeyondALoweredLimitGo) {
  LogWriter writer(path_, {.max_bytes = 1, .keep = 4}, SystemWrite);
  writer.Append("1\n2\n3\n4\n5\n", now_);
  writer.SetPolicy({.max_bytes = 1, .keep = 1});
  writer.Append("6\n", now_);
  EXPECT_EQ(Contents(path_ + ".1"), "5\n");
  for (const char* gone : {".2", ".3", ".4"}) {
    EXPECT_FALSE(std::filesystem::exists(path_ + gone)) << gone;
  }
}

TEST_F(LogWriterTest, AnOldFileMovesAsideThoughItIsSmall) {
  const RotationPolicy daily{.max_age = absl::Hours(24)};
  const auto line = [this](const char* text) {
    return FormatLine({now_, Stream::kOut, 0, text});
  };
  LogWriter(path_, daily, SystemWrite).Append(line("one"), now_);
  now_ += absl::Hours(23);
  // The age is that of the first line, whoever wrote it.
  LogWriter writer(path_, daily, SystemWrite);
  writer.Append(line("two"), now_);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".1"));
  now_ += absl::Hours(1);
  writer.Append(line("three"), now_);
  EXPECT_TRUE(std::filesystem::exists(path_ + ".1"));
  EXPECT_EQ(Contents(path_), line("three"));
}

TEST_F(LogWriterTest, AFileThatCannotMoveGrowsOn) {
  std::filesystem::create_directory(path_ + ".1");
  LogWriter writer(path_, {.max_bytes = 4, .keep = 1}, SystemWrite);
  EXPECT_EQ(writer.Append("1\n2\n3\n4\n5\n", now_), 10U);
  EXPECT_EQ(Contents(path_), "1\n2\n3\n4\n5\n");
  std::filesystem::remove(path_ + ".1");
  writer.Append("6\n", now_);
  EXPECT_EQ(Contents(path_), "6\n");
  EXPECT_EQ(Contents(path_ + ".1"), "1\n2\n3\n4\n5\n");
}

// As a rotation that was cut off leaves one: trying again and again must not
// push old files over the end.
TEST_F(LogWriterTest, AFreeNameIsUsedBeforeOlderFilesMove) {
  LogWriter writer(path_, {.max_bytes = 1, .keep = 3}, SystemWrite);
  writer.Append("1\n2\n3\n4\n", now_);
  std::filesystem::remove(path_ + ".1");
  writer.Append("5\n", now_);
  EXPECT_EQ(Contents(path_ + ".3"), "1\n");
  EXPECT_EQ(Contents(path_ + ".2"), "2\n");
  EXPECT_EQ(Contents(path_ + ".1"), "4\n");
  EXPECT_EQ(Contents(path_), "5\n");
}

TEST_F(LogWriterTest, ALinkUnderARotatedNameIsReplacedNotFollowed) {
  std::ofstream(folder_ / "precious") << "mine";
  std::filesystem::create_symlink(folder_ / "precious", path_ + ".1");
  LogWriter writer(path_, {.max_bytes = 1, .keep = 1}, SystemWrite);
  writer.Append("1\n2\n", now_);
  EXPECT_EQ(Contents(folder_ / "precious"), "mine");
  EXPECT_EQ(Contents(path_ + ".1"), "1\n");
}

TEST_F(LogWriterTest, TellsWhatItWroteWhere) {
  std::string told;
  LogWriter writer(
      path_, {.max_bytes = 4}, SystemWrite,
      [&](const LogFilePtr& file, uint64_t offset, std::string_view bytes) {
        told += std::to_string(offset) + ":" + std::string(bytes);
        char first = 0;
        EXPECT_EQ(pread(file->fd.get(), &first, 1, static_cast<off_t>(offset)),
                  1);
        EXPECT_EQ(first, bytes.front());
      });
  writer.Append("1\n", now_);
  writer.Append("2\n3\n", now_);
  EXPECT_EQ(told, "0:1\n2:2\n0:3\n");
}

}  // namespace
}  // namespace apm::logs
