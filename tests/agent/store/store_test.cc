#include "agent/store/store.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/event_loop.h"
#include "tests/agent/store/desired_workers.h"
#include "tests/agent/store/state_folder.h"
#include "tests/testing/status_matchers.h"

namespace apm::store {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::Each;
using ::testing::SizeIs;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }

  void Start() {
    store_.reset();
    store_ = Store::Create({.path = folder_.file(),
                            .on_durability_changed =
                                [this](bool durable, std::string) {
                                  edges_.push_back(durable);
                                  loop_->Stop();
                                }},
                           *loop_)
                 .value();
  }

  DesiredState Load() {
    absl::StatusOr<DesiredState> loaded;
    store_->Load([&](absl::StatusOr<DesiredState> state) {
      EXPECT_EQ(std::this_thread::get_id(), thread_);
      loaded = std::move(state);
      loop_->Stop();
    });
    loop_->Run();
    return loaded.value();
  }

  // Adds the answer to answers_.
  void Save(const std::string& name) {
    store_->Save({Worker(name)}, {}, [this](absl::Status status) {
      EXPECT_EQ(std::this_thread::get_id(), thread_);
      answers_.push_back(std::move(status));
      loop_->Stop();
    });
  }

  void RunUntilAnswers(size_t count) {
    while (answers_.size() < count) loop_->Run();
  }

  const std::thread::id thread_ = std::this_thread::get_id();
  StateFolder folder_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::vector<bool> edges_;
  std::vector<absl::Status> answers_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, AnswersOnTheCallersThread) {
  EXPECT_TRUE(Load().created);
  Save("web");
  RunUntilAnswers(1);
  EXPECT_THAT(answers_[0], IsOk());
}

TEST_F(StoreTest, WhatWasAnsweredIsThereAfterARestart) {
  Load();
  Save("web");
  RunUntilAnswers(1);
  Start();
  EXPECT_THAT(Load().workers, SizeIs(1));
}

TEST_F(StoreTest, ManySavesAtOnceAreAllAnswered) {
  Load();
  for (int i = 0; i < 500; ++i) Save(absl::StrCat("worker-", i));
  RunUntilAnswers(500);
  EXPECT_THAT(answers_, Each(IsOk()));
  Start();
  EXPECT_THAT(Load().workers, SizeIs(500));
}

TEST_F(StoreTest, ASaveBeforeTheLoadIsRefused) {
  Save("web");
  RunUntilAnswers(1);
  EXPECT_THAT(answers_[0], StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(StoreTest, TheEndWritesWhatWasSaved) {
  Load();
  Save("web");
  Start();  // Ends the one before.
  EXPECT_THAT(Load().workers, SizeIs(1));
}

TEST_F(StoreTest, TheEndTriesOnceMoreWhatCouldNotBeWritten) {
  Load();
  BrokenDisk broken;
  Save("web");
  RunUntilAnswers(1);
  broken.Repair();
  Start();
  EXPECT_THAT(Load().workers, SizeIs(1));
}

TEST_F(StoreTest, NothingIsCalledAfterTheEnd) {
  Load();
  Save("web");
  store_.reset();  // The answer is posted to the loop by now.
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(answers_, SizeIs(0));
}

TEST_F(StoreTest, TellsOfTheDiskOnTheCallersThread) {
  Load();
  BrokenDisk broken;
  Save("web");
  RunUntilAnswers(1);
  EXPECT_THAT(answers_[0], StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(edges_, std::vector{false});
  broken.Repair();
  Save("b");
  RunUntilAnswers(2);
  EXPECT_EQ(edges_, (std::vector{false, true}));
}

}  // namespace
}  // namespace apm::store
