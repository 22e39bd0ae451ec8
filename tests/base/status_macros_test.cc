#include "base/status/status_macros.h"

#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

absl::StatusOr<std::unique_ptr<int>> MakeSeven() {
  return std::make_unique<int>(7);
}

absl::StatusOr<std::unique_ptr<int>> Fail() {
  return absl::NotFoundError("no seven");
}

absl::StatusOr<int> Dereference(
    absl::StatusOr<std::unique_ptr<int>> (*make)()) {
  APM_ASSIGN_OR_RETURN(std::unique_ptr<int> value, make());
  return *value;
}

absl::Status Check(const absl::Status& status, bool& reached_end) {
  APM_RETURN_IF_ERROR(status);
  reached_end = true;
  return absl::OkStatus();
}

TEST(StatusMacrosTest, AssignMovesTheValueOut) {
  EXPECT_EQ(Dereference(&MakeSeven).value(), 7);
}

TEST(StatusMacrosTest, AssignReturnsTheErrorUnchanged) {
  EXPECT_THAT(Dereference(&Fail), StatusIs(absl::StatusCode::kNotFound));
}

TEST(StatusMacrosTest, ReturnIfErrorStopsAtTheFirstError) {
  bool reached_end = false;
  EXPECT_THAT(Check(absl::AbortedError(""), reached_end),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_FALSE(reached_end);
  EXPECT_THAT(Check(absl::OkStatus(), reached_end), IsOk());
  EXPECT_TRUE(reached_end);
}

}  // namespace
}  // namespace apm
