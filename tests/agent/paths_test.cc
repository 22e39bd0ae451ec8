#include "agent/paths.h"

#include <stdlib.h>

#include <string>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/options.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

TEST(PathsTest, HomeIsTheVariableElseTheUserDatabases) {
  setenv("HOME", "/somewhere", 1);
  EXPECT_EQ(HomeFolder("/home/me"), "/somewhere");
  setenv("HOME", "relative", 1);
  EXPECT_EQ(HomeFolder("/home/me"), "/home/me");
  unsetenv("HOME");
  EXPECT_EQ(HomeFolder("/home/me"), "/home/me");
}

TEST(PathsTest, WorkersLogsAreInTheStateFolderButForTheSystemService) {
  Options options;
  EXPECT_EQ(LogDir(options, "/home/me/.apm"), "/home/me/.apm/logs");
  options.system = true;
  EXPECT_EQ(LogDir(options, StateDir(options, "", "/root")), "/var/log/apm");
  options.state_dir = "/private";
  EXPECT_EQ(LogDir(options, StateDir(options, "", "/root")), "/private/logs");
}

TEST(PathsTest, AStateFolderThatCannotBeMadeNamesTheOption) {
  const absl::Status status = MakePrivateFolder("/dev/null/state");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr("'/dev/null/state'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--state-dir"));
}

}  // namespace
}  // namespace apm::agent
