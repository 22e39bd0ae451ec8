#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/options.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseOptionsTest, TakesWhatTheKeeperPassesOn) {
  const Options options =
      ParseOptions({"--keeper-fd", "3", "--config", "a.conf", "--config=b.conf",
                    "--socket", "@x", "--state-dir=/s", "--log-file", "-",
                    "--pid-file", "/p", "--system"})
          .value();
  EXPECT_EQ(options.keeper_fd, 3);
  EXPECT_THAT(options.config_files, ElementsAre("a.conf", "b.conf"));
  EXPECT_EQ(options.socket, "@x");
  EXPECT_EQ(options.state_dir, "/s");
  EXPECT_TRUE(options.system);
}

TEST(ParseOptionsTest, TakesFilesOnlyToCheckThem) {
  EXPECT_THAT(ParseOptions({"--check-config", "a.conf"}).value().config_files,
              ElementsAre("a.conf"));
  EXPECT_THAT(ParseOptions({"a.conf"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ParseOptionsTest, NamesTheOptionThatLacksItsValue) {
  const absl::StatusOr<Options> options = ParseOptions({"--socket"});
  ASSERT_THAT(options, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(options.status().message()), HasSubstr("--socket"));
}

TEST(ParseOptionsTest, RefusesADescriptorThatIsNoNumber) {
  EXPECT_THAT(ParseOptions({"--keeper-fd", "three"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseOptions({"--keeper-fd=-1"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apm::agent
