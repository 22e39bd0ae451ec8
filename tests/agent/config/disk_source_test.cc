#include "agent/config/disk_source.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::config {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiskSourceTest : public ::testing::Test {
 protected:
  DiskSourceTest() {
    std::string pattern = ::testing::TempDir() + "apm-config-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~DiskSourceTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    chmod(path.c_str(), 0644);
    return path;
  }

  std::string folder_;
  DiskSource source_{geteuid()};
};

TEST_F(DiskSourceTest, ReadsAFileThatOnlyItsOwnerCanWrite) {
  EXPECT_EQ(source_.Read(Write("a.conf", "text")).value(), "text");
}

TEST_F(DiskSourceTest, RefusesAFileThatOthersCanWriteAndSaysTheCommand) {
  const std::string path = Write("a.conf", "text");
  chmod(path.c_str(), 0666);
  const auto text = source_.Read(path);
  EXPECT_THAT(text, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(std::string(text.status().message()),
              HasSubstr("type: chmod go-w '" + path + "'"));
}

TEST_F(DiskSourceTest, RefusesAFileInAFolderThatOthersCanWrite) {
  const std::string path = Write("a.conf", "text");
  chmod(folder_.c_str(), 0777);
  EXPECT_THAT(source_.Read(path),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(DiskSourceTest, RefusesASymlinkIntoAnOpenFolder) {
  const std::string path = Write("a.conf", "text");
  const std::string open = folder_ + "/open";
  mkdir(open.c_str(), 0755);
  ASSERT_EQ(symlink(path.c_str(), (open + "/link.conf").c_str()), 0);
  EXPECT_THAT(source_.Read(open + "/link.conf"), IsOk());
  chmod(open.c_str(), 0777);
  EXPECT_THAT(source_.Read(open + "/link.conf"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(DiskSourceTest, ReadsUpToTheLimitAndNotOneByteMore) {
  const std::string largest(kMaxFileBytes, '#');
  EXPECT_THAT(source_.Read(Write("a.conf", largest)), IsOk());
  EXPECT_THAT(source_.Read(Write("b.conf", largest + "#")),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(DiskSourceTest, ReadsOnlyRegularFiles) {
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(source_.Read(fifo), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(source_.Read(folder_),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(source_.Read(folder_ + "/none"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DiskSourceTest, GlobIsSortedAndMayBeEmpty) {
  Write("b.conf", "");
  Write("a.conf", "");
  EXPECT_THAT(source_.Glob(folder_ + "/*.conf").value(),
              ElementsAre(folder_ + "/a.conf", folder_ + "/b.conf"));
  EXPECT_THAT(source_.Glob(folder_ + "/*.none").value(), IsEmpty());
  EXPECT_THAT(source_.Glob("/none").value(), ElementsAre("/none"));
}

TEST(CheckPathOwnerTest, OnlyRootAndTheDaemonsUserMayOwn) {
  EXPECT_THAT(CheckPathOwner("/x", {0, S_IFREG | 0644}, 1000), IsOk());
  EXPECT_THAT(CheckPathOwner("/x", {1000, S_IFREG | 0644}, 1000), IsOk());
  const absl::Status other = CheckPathOwner("/x", {7, S_IFREG | 0600}, 1000);
  EXPECT_THAT(other, StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(std::string(other.message()), HasSubstr("type: chown 1000 '/x'"));
}

TEST(CheckPathOwnerTest, AStickyFolderIsNotWritableInThatSense) {
  EXPECT_THAT(CheckPathOwner("/tmp", {0, S_IFDIR | 01777}, 0), IsOk());
  EXPECT_THAT(CheckPathOwner("/tmp", {0, S_IFDIR | 0777}, 0),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(CheckPathOwner("/x", {0, S_IFREG | 0664}, 0),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace apm::config
