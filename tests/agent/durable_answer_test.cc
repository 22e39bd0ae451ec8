#include "agent/durable_answer.h"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DurableAnswerTest : public ::testing::Test {
 protected:
  std::optional<absl::StatusOr<WorkerView>> sent_;
  DurableAnswer<WorkerView> answer_{
      [this](absl::StatusOr<WorkerView> view) { sent_ = std::move(view); }};
};

TEST_F(DurableAnswerTest, LeavesWhenTheLaterOfTheTwoIsThere) {
  answer_.OnStored(absl::OkStatus());
  EXPECT_FALSE(sent_.has_value());
  answer_.OnDone(WorkerView());
  ASSERT_TRUE(sent_.has_value());
  EXPECT_THAT((*sent_)->warnings, IsEmpty());
}

TEST_F(DurableAnswerTest, SaysThatTheChangeIsNotStored) {
  answer_.OnDone(WorkerView());
  EXPECT_FALSE(sent_.has_value());
  answer_.OnStored(absl::DataLossError("not durable: the disk is full"));
  ASSERT_TRUE(sent_.has_value());
  EXPECT_THAT((*sent_)->warnings, ElementsAre("not durable: the disk is full"));
}

TEST_F(DurableAnswerTest, AFailureIsAnsweredAsItIs) {
  answer_.OnStored(absl::DataLossError("full"));
  answer_.OnDone(absl::FailedPreconditionError("it does not start"));
  ASSERT_TRUE(sent_.has_value());
  EXPECT_EQ(sent_->status().message(), "it does not start");
}

}  // namespace
}  // namespace apm::agent
