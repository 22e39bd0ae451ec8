#include "agent/events/event_log.h"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::events {
namespace {

using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

constexpr uint64_t kEpoch = 7;

Event Of(const std::string& worker, const std::string& text) {
  return {.time = absl::UnixEpoch(),
          .type = type::kWorkerState,
          .worker = worker,
          .text = text};
}

std::vector<std::string> Texts(const absl::StatusOr<EventLog::Page>& page) {
  std::vector<std::string> texts;
  for (const Event& event : page.value().events) texts.push_back(event.text);
  return texts;
}

using Strings = std::vector<std::string>;

class EventLogTest : public ::testing::Test {
 protected:
  void Append(const std::string& worker, const std::string& text) {
    log_.Append(Of(worker, text));
  }

  EventLog log_{EventRing::Create(kEpoch).value()};
};

TEST_F(EventLogTest, ListsFromTheOldest) {
  Append("web", "a");
  Append("job", "b");
  const auto page = log_.List({});
  EXPECT_EQ(Texts(page), (Strings{"a", "b"}));
  EXPECT_EQ(page->cursor, (Cursor{kEpoch, 2}));
}

TEST_F(EventLogTest, AnEmptyLogHasACursorToGoOnFrom) {
  const auto page = log_.List({});
  EXPECT_EQ(page->cursor, (Cursor{kEpoch, 0}));
  Append("web", "a");
  EXPECT_EQ(Texts(log_.List({.after = page->cursor})), (Strings{"a"}));
}

TEST_F(EventLogTest, PagesFollowEachOtherWithoutGapAndWithoutOverlap) {
  for (int i = 0; i < 5; ++i) Append("web", absl::StrCat(i));
  const auto first = log_.List({.max = 2});
  const auto second = log_.List({.after = first->cursor, .max = 2});
  const auto third = log_.List({.after = second->cursor, .max = 2});
  EXPECT_EQ(Texts(first), (Strings{"0", "1"}));
  EXPECT_EQ(Texts(second), (Strings{"2", "3"}));
  EXPECT_EQ(Texts(third), (Strings{"4"}));
  EXPECT_EQ(third->cursor, log_.Now());
}

TEST_F(EventLogTest, TheNewestAreInTheOrderOfTime) {
  for (int i = 0; i < 5; ++i) Append("web", absl::StrCat(i));
  const auto page = log_.List({.max = 2, .newest = true});
  EXPECT_EQ(Texts(page), (Strings{"3", "4"}));
  EXPECT_EQ(page->cursor, log_.Now());
}

TEST_F(EventLogTest, NamesChooseAndTheCursorPassesTheOthers) {
  Append("web", "a");
  Append("job", "b");
  Append("", "node");
  const auto page = log_.List({.names = {"web", "other"}});
  EXPECT_EQ(Texts(page), (Strings{"a"}));
  EXPECT_EQ(page->cursor, log_.Now());
  EXPECT_EQ(Texts(log_.List({.max = 1, .names = {"web"}, .newest = true})),
            (Strings{"a"}));
}

TEST_F(EventLogTest, ANameMayBeAnInstances) {
  Event event = Of("web", "of instance 1");
  event.instance = 1;
  event.generation = 1;
  log_.Append(event);
  Append("web", "of the worker");
  EXPECT_EQ(Texts(log_.List({.names = {"web/1"}})), (Strings{"of instance 1"}));
  EXPECT_EQ(Texts(log_.List({.names = {"web/0"}})), Strings{});
  EXPECT_EQ(Texts(log_.List({.names = {"web"}})).size(), 2U);
}

TEST_F(EventLogTest, ACursorOfAnotherLifeIsOutOfRange) {
  const auto page = log_.List({.after = Cursor{6, 0}});
  EXPECT_THAT(page, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(page.status().message(),
            "the cursor 6:0 is of an earlier life of the daemon; list the "
            "workers again and watch from there");
}

TEST_F(EventLogTest, ACursorBehindWhatIsKeptIsOutOfRange) {
  for (size_t i = 0; i < kMaxEvents + 2; ++i) Append("web", "x");
  EXPECT_EQ(Texts(log_.List({.after = Cursor{kEpoch, 2}, .max = 1})),
            (Strings{"x"}));
  const auto page = log_.List({.after = Cursor{kEpoch, 1}});
  EXPECT_THAT(page, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(std::string(page.status().message()),
              HasSubstr("no longer kept, the oldest is 7:3; list the workers"));
}

TEST_F(EventLogTest, ACursorAheadIsOutOfRange) {
  EXPECT_THAT(log_.List({.after = Cursor{kEpoch, 1}}),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(log_.List({.after = Cursor{kEpoch, UINT64_MAX}}),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(EventLogTest, SubscribersAreToldOfEachEventThatCanBeListed) {
  std::vector<size_t> listed;
  const auto subscription = log_.Subscribe(
      [&] { listed.push_back(log_.List({}).value().events.size()); });
  Append("web", "a");
  Append("web", "b");
  EXPECT_EQ(listed, (std::vector<size_t>{1, 2}));
}

TEST_F(EventLogTest, AnEndedSubscriptionIsToldNothing) {
  int told = 0;
  auto subscription = log_.Subscribe([&] { ++told; });
  subscription.reset();
  Append("web", "a");
  EXPECT_EQ(told, 0);
}

TEST_F(EventLogTest, AnEventBehindAnOldAgentsIsFoundInTheAdoptedRing) {
  Append("web", "before");
  UniqueFd kept(dup(log_.fd()));
  EventLog after(EventRing::Adopt(std::move(kept), kEpoch + 1).value());
  after.Append(Of("web", "after"));
  EXPECT_EQ(Texts(after.List({.after = Cursor{kEpoch, 1}})),
            (Strings{"after"}));
}

TEST_F(EventLogTest, WatchersSeeEveryEventOfSeveralThreadsOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::vector<uint64_t> seen;
  {
    Cursor cursor = log_.Now();
    // Callbacks run one at a time, so that `seen` needs no lock.
    const auto subscription = log_.Subscribe([&] {
      const auto page = log_.List({.after = cursor}).value();
      cursor = page.cursor;
      for (const Event& event : page.events) {
        seen.push_back(event.cursor.sequence);
      }
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this] {
        for (int j = 0; j < kEach; ++j) {
          const auto passer_by = log_.Subscribe([] {});
          Append("web", "x");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  ASSERT_EQ(seen.size(), size_t{kThreads * kEach});
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i + 1);
}

}  // namespace
}  // namespace apm::events
