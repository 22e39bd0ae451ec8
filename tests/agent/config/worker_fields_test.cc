#include "agent/config/worker_fields.h"

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::config {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

WorkerFields Minimal() {
  WorkerFields fields;
  fields.name = "web";
  fields.exec = "/usr/bin/node";
  return fields;
}

TEST(ValidateWorkerTest, AcceptsWhatACommandLineGives) {
  WorkerFields fields = Minimal();
  fields.path = "/srv/app";
  fields.servers = {"127.0.0.1:3000", "./a.sock"};
  const auto worker = ValidateWorker(fields);
  ASSERT_THAT(worker, IsOk());
  EXPECT_EQ(worker->listeners[1].path, "/srv/app/a.sock");
}

TEST(ValidateWorkerTest, ListsEveryProblem) {
  WorkerFields fields;
  fields.restart = "sometimes";
  fields.servers = {"tls://127.0.0.1:1"};
  const auto worker = ValidateWorker(fields);
  ASSERT_THAT(worker, StatusIs(absl::StatusCode::kInvalidArgument));
  const std::string message(worker.status().message());
  EXPECT_THAT(message, HasSubstr("'name' is missing"));
  EXPECT_THAT(message, HasSubstr("\n'exec' is missing"));
  EXPECT_THAT(message, HasSubstr("\n'tls://' is not available"));
  EXPECT_THAT(message, HasSubstr("\nbad value 'sometimes' for 'restart'"));
}

TEST(ValidateWorkerTest, DoesNotRepairSilently) {
  WorkerFields fields = Minimal();
  fields.stop_timeout = "10";
  EXPECT_THAT(ValidateWorker(fields),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ValidateWorkerTest, RefusesWhatExecCannotTake) {
  WorkerFields fields = Minimal();
  fields.params = {std::string("a\0b", 3)};
  EXPECT_THAT(ValidateWorker(fields),
              StatusIs(absl::StatusCode::kInvalidArgument));
  fields.params = {std::string(size_t{128} << 10, 'x')};
  EXPECT_THAT(ValidateWorker(fields),
              StatusIs(absl::StatusCode::kInvalidArgument));
  fields.params = {std::string((size_t{128} << 10) - 1, 'x')};
  EXPECT_THAT(ValidateWorker(fields), IsOk());
}

TEST(ValidateWorkerTest, NamesFollowTheGrammar) {
  const auto code = [](std::string name) {
    WorkerFields fields = Minimal();
    fields.name = std::move(name);
    return ValidateWorker(fields).status().code();
  };
  EXPECT_EQ(code("a"), absl::StatusCode::kOk);
  EXPECT_EQ(code("9_.-z"), absl::StatusCode::kOk);
  EXPECT_EQ(code(std::string(63, 'x')), absl::StatusCode::kOk);
  EXPECT_EQ(code(std::string(64, 'x')), absl::StatusCode::kInvalidArgument);
  for (const std::string name : {"-a", ".a", "_a", "a/0", "a b", "\xC3\xA9"}) {
    EXPECT_EQ(code(name), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST(ValidateWorkerTest, AValueCannotForgeALineOfTheMessage) {
  WorkerFields fields = Minimal();
  fields.restart = "x\nall is well";
  EXPECT_THAT(std::string(ValidateWorker(fields).status().message()),
              HasSubstr("'x?all is well'"));
}

TEST(CheckTogetherTest, NamesWhoHasTheNameOrTheAddress) {
  WorkerFields fields = Minimal();
  fields.servers = {"127.0.0.1:3000"};
  const std::vector<WorkerConfig> others = {ValidateWorker(fields).value()};
  EXPECT_THAT(CheckTogether(others[0], others),
              StatusIs(absl::StatusCode::kAlreadyExists));

  fields.name = "api";
  fields.servers = {"0.0.0.0:3000"};
  const absl::Status taken =
      CheckTogether(ValidateWorker(fields).value(), others);
  EXPECT_THAT(taken, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(std::string(taken.message()), HasSubstr("worker 'web'"));

  fields.servers = {"127.0.0.1:3001"};
  EXPECT_THAT(CheckTogether(ValidateWorker(fields).value(), others), IsOk());
}

}  // namespace
}  // namespace apm::config
