#include "agent/access_log_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using apm::testing::IsOk;
using ::testing::HasSubstr;

class AccessLogFileTest : public ::testing::Test {
 protected:
  AccessLogFileTest() {
    std::string pattern = ::testing::TempDir() + "access-log-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~AccessLogFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return folder_ + "/web.access.log"; }

  std::string folder_;
};

TEST_F(AccessLogFileTest, IsCreatedForItsOwnerAndGroup) {
  umask(022);
  ASSERT_THAT(OpenAccessLog(Path()), IsOk());
  struct stat found {};
  ASSERT_EQ(stat(Path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0640u);
}

TEST_F(AccessLogFileTest, WhatIsThereIsAppendedTo) {
  for (const char* const text : {"one\n", "two\n"}) {
    const auto file = OpenAccessLog(Path());
    ASSERT_THAT(file, IsOk());
    ASSERT_EQ(write(file->get(), text, 4), 4);
  }
  EXPECT_EQ(std::filesystem::file_size(Path()), 8u);
}

TEST_F(AccessLogFileTest, IsNeverWrittenThroughALink) {
  ASSERT_EQ(symlink("/dev/null", Path().c_str()), 0);
  EXPECT_THAT(OpenAccessLog(Path()).status().message(), HasSubstr(Path()));
}

TEST_F(AccessLogFileTest, APipeInItsPlaceIsRefused) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  EXPECT_FALSE(OpenAccessLog(Path()).ok());
  const UniqueFd reader(open(Path().c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_THAT(OpenAccessLog(Path()).status().message(),
              HasSubstr("is not a file"));
}

}  // namespace
}  // namespace apm::agent
