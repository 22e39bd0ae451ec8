#include "base/os/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_end.Reset(ends[0]);
    write_end.Reset(ends[1]);
  }
  void MakeReadable() const { EXPECT_EQ(write(write_end.get(), "x", 1), 1); }
  UniqueFd read_end;
  UniqueFd write_end;
};

class EventLoopTest : public ::testing::Test {
 protected:
  void Turn() { loop_->RunOnce(absl::ZeroDuration()); }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
};

TEST_F(EventLoopTest, ReportsAReadableDescriptor) {
  const Pipe pipe;
  int calls = 0;
  ASSERT_THAT(
      loop_->Add(pipe.read_end.get(), EPOLLIN, [&](uint32_t) { ++calls; }),
      IsOk());
  Turn();
  EXPECT_EQ(calls, 0);
  pipe.MakeReadable();
  Turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, RefusesADescriptorTwice) {
  const Pipe pipe;
  ASSERT_THAT(loop_->Add(pipe.read_end.get(), EPOLLIN, [](uint32_t) {}),
              IsOk());
  EXPECT_THAT(loop_->Add(pipe.read_end.get(), EPOLLIN, [](uint32_t) {}),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(EventLoopTest, DropsTheEventOfADescriptorRemovedInTheSameTurn) {
  const Pipe first;
  const Pipe second;
  std::vector<std::string> calls;
  // Whichever comes first removes the other.
  ASSERT_THAT(loop_->Add(first.read_end.get(), EPOLLIN,
                         [&](uint32_t) {
                           calls.push_back("first");
                           loop_->Remove(second.read_end.get());
                         }),
              IsOk());
  ASSERT_THAT(loop_->Add(second.read_end.get(), EPOLLIN,
                         [&](uint32_t) {
                           calls.push_back("second");
                           loop_->Remove(first.read_end.get());
                         }),
              IsOk());
  first.MakeReadable();
  second.MakeReadable();
  Turn();
  EXPECT_EQ(calls.size(), 1U);
}

TEST_F(EventLoopTest, ACallbackMayRemoveItself) {
  const Pipe pipe;
  auto token = std::make_shared<int>(0);
  std::weak_ptr<int> watch = token;
  ASSERT_THAT(loop_->Add(pipe.read_end.get(), EPOLLIN,
                         [this, &pipe, held = std::move(token)](uint32_t) {
                           loop_->Remove(pipe.read_end.get());
                           ++*held;  // Still alive.
                         }),
              IsOk());
  pipe.MakeReadable();
  Turn();
  EXPECT_TRUE(watch.expired());
}

TEST_F(EventLoopTest, RunsTimersInOrderOfTheirTime) {
  std::vector<int> order;
  loop_->RunAfter(absl::Milliseconds(3), [&] { order.push_back(3); });
  loop_->RunAfter(absl::Milliseconds(1), [&] { order.push_back(1); });
  loop_->RunAfter(absl::Milliseconds(2), [&] { order.push_back(2); });
  while (order.size() < 3) loop_->RunOnce(absl::InfiniteDuration());
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST_F(EventLoopTest, ACancelledTimerNeverRuns) {
  bool ran = false;
  const TimerId id = loop_->RunAfter(absl::ZeroDuration(), [&] { ran = true; });
  loop_->Cancel(id);
  loop_->Cancel(id);
  loop_->Cancel(kNoTimer);
  Turn();
  EXPECT_FALSE(ran);
}

TEST_F(EventLoopTest, AStaleTimerIdDoesNotCancelItsSuccessor) {
  bool ran = false;
  const TimerId stale = loop_->RunAfter(absl::ZeroDuration(), [] {});
  Turn();
  loop_->RunAfter(absl::ZeroDuration(), [&] { ran = true; });
  loop_->Cancel(stale);
  Turn();
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopTest, CancellingAnyOfManyKeepsTheOrderOfTheRest) {
  constexpr int kTimers = 200;
  std::vector<int> order;
  std::vector<TimerId> ids;
  for (int i = 0; i < kTimers; ++i) {
    const int due_us = (i * 7919) % 1000;
    ids.push_back(loop_->RunAfter(absl::Microseconds(due_us), [&order, due_us] {
      order.push_back(due_us);
    }));
  }
  for (int i = 0; i < kTimers; i += 3)
    loop_->Cancel(ids[static_cast<size_t>(i)]);
  const size_t left = kTimers - (kTimers + 2) / 3;
  while (order.size() < left) loop_->RunOnce(absl::InfiniteDuration());
  EXPECT_EQ(order.size(), left);
}

TEST_F(EventLoopTest, EndOfTurnWorkRunsAfterTheDescriptors) {
  const Pipe pipe;
  std::vector<std::string> calls;
  ASSERT_THAT(loop_->Add(pipe.read_end.get(), EPOLLIN,
                         [&](uint32_t) {
                           loop_->AtEndOfTurn([&] { calls.push_back("end"); });
                           loop_->Post([&] { calls.push_back("posted"); });
                           calls.push_back("fd");
                         }),
              IsOk());
  pipe.MakeReadable();
  Turn();
  EXPECT_THAT(calls, ElementsAre("fd", "posted", "end"));
}

TEST_F(EventLoopTest, PostedWorkFromAnotherThreadArrivesInOrder) {
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i)
      loop_->Post([&order, i] { order.push_back(i); });
    loop_->Post([&] { loop_->Stop(); });
  });
  loop_->Run();
  poster.join();
  ASSERT_EQ(order.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

}  // namespace
}  // namespace apm
