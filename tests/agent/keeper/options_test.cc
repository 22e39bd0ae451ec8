#include "agent/keeper/options.h"

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::keeper {
namespace {

using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<Options> Parse(const std::vector<const char*>& args) {
  return ParseOptions(args);
}

std::string ErrorOf(const std::vector<const char*>& args) {
  const absl::StatusOr<Options> options = Parse(args);
  EXPECT_THAT(options, StatusIs(absl::StatusCode::kInvalidArgument));
  return std::string(options.status().message());
}

TEST(OptionsTest, NothingIsRequired) {
  const Options options = Parse({}).value();
  EXPECT_THAT(options.agent_args, IsEmpty());
  EXPECT_EQ(options.log_file, "-");
  EXPECT_EQ(options.pid_file, "");
}

TEST(OptionsTest, TakesAValueAfterTheOptionOrAfterAnEqualsSign) {
  EXPECT_EQ(Parse({"--pid-file", "/a=b"}).value().pid_file, "/a=b");
  EXPECT_EQ(Parse({"--pid-file=/a=b"}).value().pid_file, "/a=b");
}

TEST(OptionsTest, ForwardsWhatConfiguresTheAgentInOrder) {
  const Options options =
      Parse({"--config", "b", "--system", "--pid-file", "p", "--socket", "@x",
             "--config=a", "--log-file", "-", "--state-dir", "s"})
          .value();
  EXPECT_THAT(options.agent_args,
              ElementsAre("--config=b", "--system", "--socket=@x", "--config=a",
                          "--log-file=-", "--state-dir=s"));
}

TEST(OptionsTest, ASuccessorGetsAllOfThemAgain) {
  const Options options =
      Parse({"--pid-file", "p", "--system", "--state-fd=7", "--config=a"})
          .value();
  EXPECT_EQ(options.state_fd, 7);
  EXPECT_THAT(options.args,
              ElementsAre("--pid-file=p", "--system", "--config=a",
                          "--log-file=/var/log/apm.log"));
}

TEST(OptionsTest, StandardDescriptorsAndOtherTextHoldNoState) {
  for (const char* wrong : {"--state-fd=2", "--state-fd=-1", "--state-fd=4x"}) {
    EXPECT_EQ(ErrorOf({wrong}), "option '--state-fd' needs a descriptor");
  }
  EXPECT_EQ(ErrorOf({"--check-state"}),
            "option '--check-state' checks no state");
}

TEST(OptionsTest, TheSystemServiceHasALogFile) {
  const Options options = Parse({"--system"}).value();
  EXPECT_EQ(options.log_file, "/var/log/apm.log");
  EXPECT_THAT(options.agent_args,
              ElementsAre("--system", "--log-file=/var/log/apm.log"));
  EXPECT_EQ(Parse({"--system", "--log-file=-"}).value().log_file, "-");
  EXPECT_EQ(Parse({"--system", "--state-dir=/x"}).value().log_file, "-");
}

TEST(OptionsTest, SaysWhichArgumentIsWrong) {
  EXPECT_EQ(ErrorOf({"--colour=red"}), "option '--colour' is unknown");
  EXPECT_EQ(ErrorOf({"-c"}), "option '-c' is unknown");
  EXPECT_EQ(ErrorOf({"start"}), "argument 'start' is unknown");
  EXPECT_EQ(ErrorOf({""}), "argument '' is unknown");
}

TEST(OptionsTest, RefusesAMissingOrEmptyValue) {
  EXPECT_EQ(ErrorOf({"--socket"}), "option '--socket' needs a value");
  EXPECT_EQ(ErrorOf({"--socket="}), "option '--socket' needs a value");
  EXPECT_EQ(ErrorOf({"--socket", ""}), "option '--socket' needs a value");
}

TEST(OptionsTest, RefusesAValueWhereThereIsNone) {
  EXPECT_EQ(ErrorOf({"--system=yes"}), "option '--system' has no value");
}

TEST(OptionsTest, RefusesASecondValueOfWhatHasOne) {
  EXPECT_EQ(ErrorOf({"--socket=@a", "--socket=@b"}),
            "option '--socket' is given twice");
}

TEST(OptionsTest, PidFileLiesInTheStateFolderElseInTheHome) {
  Options options;
  EXPECT_EQ(DefaultPidFile(options, "/home/a"), "/home/a/.apm/apm.pid");
  EXPECT_EQ(DefaultPidFile(options, ""), "");
  EXPECT_EQ(DefaultPidFile(options, "relative"), "");
  options.system = true;
  EXPECT_EQ(DefaultPidFile(options, "/home/a"), "/root/.apm/apm.pid");
  options.state_dir = "/s";
  EXPECT_EQ(DefaultPidFile(options, "/home/a"), "/s/apm.pid");
}

}  // namespace
}  // namespace apm::keeper
