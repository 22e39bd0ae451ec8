#include "ctl/program.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::ctl {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(AbsolutePathTest, IsBelowTheFolderUnlessItIsAbsolute) {
  EXPECT_EQ(AbsolutePath("./a.py", "/srv"), "/srv/a.py");
  EXPECT_EQ(AbsolutePath("../a", "/srv/app"), "/srv/a");
  EXPECT_EQ(AbsolutePath("/x//y/../z", "/srv"), "/x/z");
  EXPECT_EQ(AbsolutePath(".", "/srv/app"), "/srv/app");
  EXPECT_EQ(AbsolutePath("/", "/srv"), "/");
}

class ResolveProgramTest : public ::testing::Test {
 protected:
  ResolveProgramTest() {
    char folder[] = "/tmp/program-test-XXXXXX";
    folder_ = mkdtemp(folder);
    bin_ = folder_ + "/bin";
    std::filesystem::create_directory(bin_);
  }
  ~ResolveProgramTest() override { std::filesystem::remove_all(folder_); }

  void AddFile(const std::string& name, bool executable) const {
    std::ofstream(folder_ + "/" + name) << "x";
    if (executable) {
      std::filesystem::permissions(folder_ + "/" + name,
                                   std::filesystem::perms::owner_all);
    }
  }
  absl::StatusOr<Program> Resolve(const std::string& typed) const {
    return ResolveProgram(typed, folder_, "/nonexistent:" + bin_);
  }

  std::string folder_;
  std::string bin_;
};

TEST_F(ResolveProgramTest, AScriptIsRunByItsInterpreter) {
  AddFile("bin/python3", true);
  AddFile("my.server.py", false);
  for (const char* typed : {"./my.server.py", "my.server.py"}) {
    const auto program = Resolve(typed);
    ASSERT_THAT(program, IsOk());
    EXPECT_EQ(program->exec, bin_ + "/python3");
    EXPECT_THAT(program->params, ElementsAre(folder_ + "/my.server.py"));
    EXPECT_EQ(program->default_name, "my.server");
  }
}

TEST_F(ResolveProgramTest, AMissingInterpreterIsNamed) {
  AddFile("app.js", false);
  const auto program = Resolve("app.js");
  EXPECT_THAT(program, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(program.status().message()),
              HasSubstr("there is no 'node' in PATH; install it"));
}

TEST_F(ResolveProgramTest, ANameWithoutASlashIsLookedUpInThePath) {
  AddFile("bin/tool", true);
  const auto program = Resolve("tool");
  ASSERT_THAT(program, IsOk());
  EXPECT_EQ(program->exec, bin_ + "/tool");
  EXPECT_THAT(program->params, IsEmpty());
}

TEST_F(ResolveProgramTest, AFileOfTheFolderIsNotFoundWithoutItsDot) {
  AddFile("tool", true);
  EXPECT_THAT(Resolve("tool"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Resolve("./tool"), IsOk());
}

TEST_F(ResolveProgramTest, RefusesAFolder) {
  EXPECT_THAT(Resolve("./bin"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ResolveProgramTest, RefusesWhatMayNotBeExecuted) {
  AddFile("data", false);
  const auto program = Resolve("./data");
  EXPECT_THAT(std::string(program.status().message()),
              HasSubstr("may not be executed"));
}

}  // namespace
}  // namespace apm::ctl
