#include "agent/logs/log_position.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "tests/agent/logs/temp_folder.h"
#include "tests/testing/status_matchers.h"

namespace apm::logs {
namespace {

using ::apm::testing::StatusIs;

class LogPositionTest : public ::testing::Test {
 protected:
  LogFilePtr Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return OpenLogFile(folder_ / name).value();
  }
  static LogPosition At(const LogFilePtr& file, uint64_t offset) {
    return {file->inode, offset, HashHead(*file, offset)};
  }

  const TempFolder folder_;
};

TEST_F(LogPositionTest, ReadsWhatItWrites) {
  const LogPosition position{0xFFFF'FFFF'FFFF'FFFF, 12, 7};
  EXPECT_EQ(ParsePosition(FormatPosition(position)).value(), position);
  EXPECT_EQ(ParsePosition(FormatPosition({})).value(), LogPosition());
}

TEST_F(LogPositionTest, RefusesWhatIsNone) {
  for (const char* text : {"", "1", "1.2", "1.2.", "1.2.3.4", "x.2.3", "-1.2.3",
                           "1.2.3 ", "1.2.10000000000000000"}) {
    EXPECT_THAT(ParsePosition(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST_F(LogPositionTest, StaysWithItsFileWhateverItIsCalled) {
  const LogPosition position = At(Write("web.log", "one\ntwo\n"), 4);
  std::filesystem::rename(folder_ / "web.log", folder_ / "web.log.1");
  EXPECT_TRUE(IsIn(position, *OpenLogFile(folder_ / "web.log.1").value()));
  EXPECT_FALSE(IsIn(position, *Write("web.log", "one\ntwo\n")));
}

TEST_F(LogPositionTest, GrowingAFileDoesNotChangeIt) {
  const LogFilePtr file = Write("web.log", "one\n");
  const LogPosition position = At(file, 4);
  std::ofstream(folder_ / "web.log", std::ios::app) << "two\n";
  EXPECT_TRUE(IsIn(position, *file));
}

// As a file that was removed and whose inode the next one got.
TEST_F(LogPositionTest, AnotherBeginningIsAnotherFile) {
  const LogFilePtr file = Write("web.log", "one\ntwo\n");
  const LogPosition position = At(file, 8);
  Write("web.log", "two\none\n");
  EXPECT_FALSE(IsIn(position, *file));
}

TEST_F(LogPositionTest, AShorterFileIsAnotherFile) {
  const LogFilePtr file = Write("web.log", "one\ntwo\n");
  const LogPosition position = At(file, 8);
  Write("web.log", "one\n");
  EXPECT_FALSE(IsIn(position, *file));
}

}  // namespace
}  // namespace apm::logs
