#include "agent/store/worker_row.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/store/desired_workers.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::StartsWith;

// Else the round trip below would not see a field that is forgotten.
TEST(WorkerRow, TheFullWorkerHasNoFieldAtItsDefault) {
  const DesiredWorker full = FullWorker();
  const auto& [name, source, definition, owner, instance_ids, stopped,
               stopped_instances, instances, deleting, changed] = full;
  const DesiredWorker none;
  EXPECT_NE(name, none.name);
  EXPECT_NE(source, none.source);
  EXPECT_FALSE(definition == none.definition);
  EXPECT_FALSE(owner == none.owner);
  EXPECT_NE(instance_ids, none.instance_ids);
  EXPECT_NE(stopped, none.stopped);
  EXPECT_NE(stopped_instances, none.stopped_instances);
  EXPECT_NE(instances, none.instances);
  EXPECT_NE(deleting, none.deleting);
  EXPECT_NE(changed, none.changed);
}

TEST(WorkerRow, EveryFieldComesBack) {
  EXPECT_EQ(DecodeRow(EncodeRow(FullWorker())).value(), FullWorker());
}

TEST(WorkerRow, AWorkerAsItWasDefinedHasNoOverlays) {
  const WorkerRow row = EncodeRow(Worker("web", {1, 2}));
  EXPECT_EQ(row.overlays, "{}");
  EXPECT_EQ(row.instance_ids, "[1,2]");
  EXPECT_EQ(row.owner, std::nullopt);
  EXPECT_EQ(DecodeRow(row).value(), Worker("web", {1, 2}));
}

TEST(WorkerRow, UnknownOverlaysAreIgnored) {
  WorkerRow row = EncodeRow(Worker("web"));
  row.overlays = R"({"frozen":true,"stopped":true})";
  const auto worker = DecodeRow(row);
  ASSERT_THAT(worker, IsOk());
  EXPECT_TRUE(worker->stopped);
}

TEST(WorkerRow, AnUnreadableColumnIsNamed) {
  const struct {
    std::string WorkerRow::*column;
    const char* text;
    const char* named;
  } kBad[] = {
      {&WorkerRow::name, "../etc", "name:"},
      {&WorkerRow::source, "heaven", "source:"},
      {&WorkerRow::definition, "{", "definition:"},
      {&WorkerRow::instance_ids, "[1,", "instance_ids:"},
      {&WorkerRow::instance_ids, "[\"a\"]", "instance_ids:"},
      {&WorkerRow::overlays, "[]", "overlays:"},
      {&WorkerRow::overlays, R"({"stopped":"very"})", "overlays:"},
  };
  for (const auto& [column, text, named] : kBad) {
    WorkerRow row = EncodeRow(Worker("web"));
    row.*column = text;
    const auto worker = DecodeRow(row);
    EXPECT_THAT(worker, StatusIs(absl::StatusCode::kDataLoss)) << text;
    EXPECT_THAT(std::string(worker.status().message()), StartsWith(named));
  }
}

TEST(WorkerRow, AnUnreadableOwnerIsNotNoOwner) {
  WorkerRow row = EncodeRow(FullWorker());
  row.owner = "{}";
  EXPECT_THAT(DecodeRow(row), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace apm::store
