#include "agent/program_path.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FindProgramTest : public ::testing::Test {
 protected:
  FindProgramTest() {
    char name[] = "/tmp/apm-program-XXXXXX";
    folder_ = mkdtemp(name);
    std::filesystem::create_directory(folder_ + "/bin");
    std::filesystem::create_directory(folder_ + "/app");
  }
  ~FindProgramTest() override { std::filesystem::remove_all(folder_); }

  std::string MakeFile(const std::string& name, mode_t mode) {
    const std::string file = folder_ + "/" + name;
    std::ofstream(file) << "#!/bin/sh\n";
    chmod(file.c_str(), mode);
    return file;
  }
  absl::StatusOr<std::string> Find(const std::string& exec) const {
    return FindProgram(exec, folder_ + "/app", "/nowhere:" + folder_ + "/bin");
  }
  std::string Message(const std::string& exec) const {
    return std::string(Find(exec).status().message());
  }

  std::string folder_;
};

TEST_F(FindProgramTest, LooksABareNameUpInPath) {
  EXPECT_EQ(Find("sh-like").status().code(), absl::StatusCode::kNotFound);
  const std::string file = MakeFile("bin/sh-like", 0755);
  EXPECT_EQ(Find("sh-like").value(), file);
}

TEST_F(FindProgramTest, TakesARelativePathBelowTheWorkingFolder) {
  MakeFile("app/run", 0755);
  EXPECT_EQ(Find("./run").value(), folder_ + "/app/./run");
}

TEST_F(FindProgramTest, SkipsWhatIsNotExecutableInPath) {
  MakeFile("bin/data", 0644);
  EXPECT_THAT(Find("data"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FindProgramTest, SaysWhereItLookedAndWhatToDo) {
  EXPECT_THAT(Message("nod"),
              AllOf(HasSubstr("exec 'nod': No such file or directory"),
                    HasSubstr("PATH=/nowhere:" + folder_ + "/bin"),
                    HasSubstr("full path")));
}

TEST_F(FindProgramTest, SuggestsTheFileThatLiesInTheWorkingFolder) {
  MakeFile("app/server", 0755);
  EXPECT_THAT(Message("server"), HasSubstr("write exec ./server;"));
}

TEST_F(FindProgramTest, NamesADirectory) {
  EXPECT_THAT(Find(folder_ + "/app"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Message(folder_ + "/app"), HasSubstr("is a directory"));
}

TEST_F(FindProgramTest, SaysHowToMakeAFileExecutable) {
  const std::string file = MakeFile("app/script", 0644);
  EXPECT_THAT(Find(file), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Message(file), HasSubstr("chmod +x '" + file + "'"));
}

}  // namespace
}  // namespace apm::agent
