#include "agent/control/log_query.h"

#include <string>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

v1::ReadLogRequest Lines(uint32_t lines) {
  v1::ReadLogRequest request;
  request.set_lines(lines);
  return request;
}

v1::ReadLogRequest Matching(const std::string& expression) {
  v1::ReadLogRequest request;
  request.set_matches(expression);
  return request;
}

TEST(LogQueryTest, ReadsAHundredLinesUnlessToldAndTenThousandAtMost) {
  EXPECT_EQ(LastLinesOf(Lines(0))->count, 100U);
  EXPECT_THAT(LastLinesOf(Lines(10'000)), IsOk());
  EXPECT_THAT(LastLinesOf(Lines(10'001)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LogQueryTest, RefusesAStreamThatDoesNotExist) {
  v1::ReadLogRequest request;
  request.set_stream("error");
  EXPECT_THAT(LastLinesOf(request),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LogQueryTest, ARegularExpressionIsLookedForAnywhere) {
  const auto wanted = LastLinesOf(Matching("er+or [0-9]"));
  ASSERT_THAT(wanted, IsOk());
  EXPECT_TRUE(wanted->filter.matches("an errror 7 of many"));
  EXPECT_FALSE(wanted->filter.matches("error seven"));
}

TEST(LogQueryTest, ABadExpressionIsRefusedWithTheReason) {
  const auto wanted = LastLinesOf(Matching("("));
  EXPECT_THAT(wanted, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(wanted.status().message()),
              HasSubstr("bad regular expression '(': missing )"));
}

TEST(LogQueryTest, AnExpressionHasALimit) {
  EXPECT_THAT(LastLinesOf(Matching(std::string(4096, 'x'))), IsOk());
  EXPECT_THAT(LastLinesOf(Matching(std::string(4097, 'x'))),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LogQueryTest, AFollowerWithATimeGetsAllLinesSince) {
  v1::FollowLogRequest request;
  EXPECT_EQ(LastLinesOf(request)->count, 0U);
  request.set_since_unix_us(1'790'000'000'000'000);
  EXPECT_EQ(LastLinesOf(request)->count, 10'000U);
  EXPECT_EQ(LastLinesOf(request)->since, absl::FromUnixSeconds(1'790'000'000));
}

TEST(LogQueryTest, APositionThatIsNoneIsRefused) {
  v1::FollowLogRequest request;
  request.add_after()->set_worker("web");
  EXPECT_THAT(PositionsOf(request),
              StatusIs(absl::StatusCode::kInvalidArgument));
  request.mutable_after(0)->set_position("1.2.3");
  EXPECT_EQ(PositionsOf(request)->at("web").offset, 2U);
}

}  // namespace
}  // namespace apm::control
