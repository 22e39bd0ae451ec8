#include "agent/logs/log_follower.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/log_store.h"
#include "base/os/unique_fd.h"
#include "tests/agent/logs/temp_folder.h"

namespace apm::logs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Positions = std::map<std::string, LogPosition>;

// A follower, and what he got.
class Reader {
 public:
  struct Options {
    std::optional<std::set<std::string>> workers = std::nullopt;  // All.
    LastLines start = {};
    Positions after = {};
  };

  Reader(const LogStore& store, const std::set<std::string>& known,
         const Options& options) {
    auto subscription =
        std::make_shared<LogSubscription>(options.workers, [this] { Wake(); });
    store.feed()->Subscribe(subscription);
    std::vector<FollowedWorker> workers;
    for (const std::string& name : known) {
      FollowedWorker worker{name, store.Path(name), {}, std::nullopt};
      if (options.after.contains(name)) worker.after = options.after.at(name);
      workers.push_back(std::move(worker));
    }
    follower_ =
        std::make_unique<LogFollower>(store.feed(), std::move(subscription),
                                      std::move(workers), options.start);
    while (follower_->OpenNext()) {
    }
  }

  // One message of about `max_bytes`. False if there was nothing.
  bool Take(size_t max_bytes = 1 << 20) {
    const size_t before = lines.size();
    const LogFollower::Progress progress = follower_->Take(
        scratch_, max_bytes, [this](const std::string& worker, LogLine line) {
          lines.push_back(worker + ": " + line.text);
        });
    for (const auto& [worker, position] : progress.positions) {
      positions[worker] = position;
    }
    gaps.insert(gaps.end(), progress.gaps.begin(), progress.gaps.end());
    missed += progress.missed;
    return progress.more || lines.size() > before;
  }
  std::vector<std::string> TakeAll() {
    while (Take()) {
    }
    return std::exchange(lines, {});
  }
  void AwaitNews() {
    std::unique_lock lock(mutex_);
    woken_.wait(lock, [this] { return std::exchange(news_, false); });
  }

  std::vector<std::string> lines;
  std::vector<std::string> gaps;
  Positions positions;
  uint64_t missed = 0;

 private:
  void Wake() {
    const std::lock_guard lock(mutex_);
    news_ = true;
    woken_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable woken_;
  bool news_ = false;  // Guarded by mutex_.
  std::vector<char> scratch_ = std::vector<char>(kScratchBytes);
  std::unique_ptr<LogFollower> follower_;  // Last: it wakes us until it goes.
};

class LogFollowerTest : public ::testing::Test {
 protected:
  UniqueFd Open(const std::string& worker) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    store_->AddStream(worker, 0, Stream::kOut, UniqueFd(ends[0]));
    return UniqueFd(ends[1]);
  }
  static void Write(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = write(fd, text.data(), text.size());
      ASSERT_GT(n, 0);
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  void Flush() {
    std::promise<void> done;
    store_->Flush([&] { done.set_value(); });
    done.get_future().wait();
  }
  // Printed and written, in a batch of its own.
  void Print(const std::string& worker, std::string_view text) {
    if (!pipes_.contains(worker)) pipes_[worker] = Open(worker);
    Write(pipes_[worker].get(), text);
    Flush();
  }
  // Every line is a file of its own.
  void RotateAlways(const std::string& worker, int keep) {
    store_->Configure(worker, {.rotation = {.max_bytes = 1, .keep = keep}});
    Flush();
    Flush();
  }
  std::unique_ptr<Reader> Follow(const Reader::Options& options = {}) {
    std::set<std::string> known = known_;
    if (options.workers) known = *options.workers;
    return std::make_unique<Reader>(*store_, known, options);
  }
  void ReplaceAgent() {
    pipes_.clear();
    store_.reset();
    store_ = LogStore::Create(folder_).value();
  }

  const TempFolder temp_;
  const std::string folder_ = temp_ / "logs";
  std::unique_ptr<LogStore> store_ = LogStore::Create(folder_).value();
  std::map<std::string, UniqueFd> pipes_;
  std::set<std::string> known_ = {"web"};
};

// ---- Where it begins ----

TEST_F(LogFollowerTest, BeginsWithTheLastLinesThenGoesOn) {
  Print("web", "1\n2\n3\n");
  const auto reader = Follow({.start = {.count = 2}});
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2", "web: 3"));
  Print("web", "4\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 4"));
}

TEST_F(LogFollowerTest, BeginsWithTheNextLineIfNoneIsAskedFor) {
  Print("web", "1\n");
  const auto reader = Follow();
  EXPECT_THAT(reader->TakeAll(), IsEmpty());
  Print("web", "2\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2"));
}

TEST_F(LogFollowerTest, TheLastLinesMayLieInRotatedFiles) {
  RotateAlways("web", 5);
  Print("web", "1\n2\n3\n4\n");
  EXPECT_THAT(Follow({.start = {.count = 3}})->TakeAll(),
              ElementsAre("web: 2", "web: 3", "web: 4"));
}

TEST_F(LogFollowerTest, BeginsAtATime) {
  Print("web", "1\n");
  const absl::Time since = absl::Now();
  Print("web", "2\n3\n");
  const auto reader = Follow({.start = {.count = 100, .since = since}});
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2", "web: 3"));
}

TEST_F(LogFollowerTest, AWorkerThatHasPrintedNothingIsFollowedToo) {
  const auto reader = Follow({.start = {.count = 5}});
  EXPECT_THAT(reader->TakeAll(), IsEmpty());
  Print("web", "1\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 1"));
}

TEST_F(LogFollowerTest, TheFilterHoldsForOldAndNewLines) {
  Print("web", "bad 1\ngood 1\nbad 2\n");
  const auto reader =
      Follow({.start = {.count = 2, .filter = {.contains = "bad"}}});
  Print("web", "good 2\nbad 3\n");
  EXPECT_THAT(reader->TakeAll(),
              ElementsAre("web: bad 1", "web: bad 2", "web: bad 3"));
}

// What happens between the subscription and the first look, by hand.
class LogFollowerBeginTest : public LogFollowerTest {
 protected:
  void SetUp() override {
    RotateAlways("web", 5);
    Print("web", "1\n");
    store_->feed()->Subscribe(subscription_);
  }
  std::vector<std::string> Follow(const std::string& newest, size_t count) {
    LogFollower follower(store_->feed(), subscription_,
                         {{"web", newest, {}, std::nullopt}}, {.count = count});
    EXPECT_FALSE(follower.OpenNext());
    Print("web", "4\n");
    std::vector<char> scratch(kScratchBytes);
    std::vector<std::string> texts;
    const auto take = [&](const std::string&, const LogLine& line) {
      texts.push_back(line.text);
    };
    while (follower.Take(scratch, 1000, take).more) {
    }
    return texts;
  }

  const std::shared_ptr<LogSubscription> subscription_ =
      std::make_shared<LogSubscription>(std::nullopt, [] {});
};

TEST_F(LogFollowerBeginTest, WhatWasWrittenMeanwhileComesOnce) {
  Print("web", "2\n3\n");
  EXPECT_THAT(Follow(store_->Path("web"), 2), ElementsAre("2", "3", "4"));
}

TEST_F(LogFollowerBeginTest, WhatWasWrittenMeanwhileMayBeUnwanted) {
  Print("web", "2\n3\n");
  EXPECT_THAT(Follow(store_->Path("web"), 0), ElementsAre("4"));
}

TEST_F(LogFollowerBeginTest, ARotationJustAfterTheLookHidesNoFile) {
  Print("web", "2\n3\n");
  // web.log.2 is what was web.log when the follower looked.
  EXPECT_THAT(Follow(store_->Path("web") + ".2", 1),
              ElementsAre("1", "2", "3", "4"));
}

// ---- Rotation, and workers that come and go ----

TEST_F(LogFollowerTest, HoldsFilesThatAreRemovedBeforeItReadsThem) {
  RotateAlways("web", 1);
  const auto reader = Follow();
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    Print("web", std::to_string(i) + "\n");
    expected.push_back("web: " + std::to_string(i));
  }
  EXPECT_EQ(reader->TakeAll(), expected);
  EXPECT_EQ(reader->missed, 0U);
}

TEST_F(LogFollowerTest, BeyondItsFilesItCountsWhatItMisses) {
  RotateAlways("web", 1);
  const auto reader = Follow();
  constexpr size_t kLines = 100;
  for (size_t i = 0; i < kLines; ++i) {
    Print("web", std::to_string(i) + "\n");
  }
  const size_t got = reader->TakeAll().size();
  EXPECT_EQ(got, kMaxBacklogFiles + 1);
  EXPECT_EQ(reader->missed, 0U);
  // It has room again: it goes on with the next line, and says what is between.
  Print("web", "next\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: next"));
  EXPECT_EQ(reader->missed, kLines - got);
}

TEST_F(LogFollowerTest, AReaderThatHasGoneHoldsNoFile) {
  Print("web", "1\n");
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         {});
  };
  const auto before = open_files();
  {
    RotateAlways("web", 1);
    const auto reader = Follow({.start = {.count = 1}});
    for (int i = 0; i < 10; ++i) Print("web", "x\n");
    EXPECT_GT(open_files(), before + 5);
  }
  EXPECT_EQ(open_files(), before);
}

TEST_F(LogFollowerTest, ReleasesTheFilesItHasRead) {
  RotateAlways("web", 1);
  const auto reader = Follow();
  for (int i = 0; i < 3; ++i) {
    for (size_t file = 0; file < kMaxBacklogFiles; ++file) Print("web", "x\n");
    EXPECT_THAT(reader->TakeAll(), SizeIs(kMaxBacklogFiles));
  }
  EXPECT_EQ(reader->missed, 0U);
}

TEST_F(LogFollowerTest, FollowsWorkersThatCameLater) {
  const auto reader = Follow();
  Print("new", "hello\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("new: hello"));
}

TEST_F(LogFollowerTest, OfAWorkerThatCameLaterOnlyNewLinesCount) {
  Print("new", "of an earlier life\n");
  const auto reader = Follow();
  Print("new", "hello\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("new: hello"));
}

TEST_F(LogFollowerTest, FollowsOnlyWhomItWasAskedTo) {
  const auto reader = Follow({.workers = {{"web"}}});
  Print("new", "hello\n");
  Print("web", "1\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 1"));
}

TEST_F(LogFollowerTest, AWorkerThatComesBackIsFollowedOn) {
  Print("web", "1\n");
  const auto reader = Follow();
  store_->RemoveWorker("web");
  pipes_.clear();
  Print("web", "2\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2"));
}

TEST_F(LogFollowerTest, AFileThatSomebodyEmptiedIsFollowedOn) {
  Print("web", "a long first line\n");
  const auto reader = Follow({.start = {.count = 1}});
  reader->TakeAll();
  std::filesystem::resize_file(store_->Path("web"), 0);
  Print("web", "2\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2"));
}

TEST_F(LogFollowerTest, AForeignEndlessLineIsSkipped) {
  Print("web", "1\n");
  const auto reader = Follow();
  std::ofstream(store_->Path("web"), std::ios::app)
      << std::string(3 * kScratchBytes, 'x') << "\n";
  Print("web", "2\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 2"));
}

TEST_F(LogFollowerTest, TheLongestLineIsRead) {
  store_->Configure("web", {.format = LineFormat::kJson});
  Flush();
  const auto reader = Follow();
  const std::string longest(kMaxLineBytes, '\1');
  Print("web", longest + "\n");
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: " + longest));
}

TEST_F(LogFollowerTest, AMessageIsOneLineTooLargeAtMost) {
  Print("web", "");
  const auto reader = Follow();
  for (int i = 0; i < 10; ++i) Print("web", std::string(1000, 'x') + "\n");
  reader->Take(2500);
  EXPECT_EQ(reader->lines.size(), 3U);
}

// ---- Going on where another one ended ----

TEST_F(LogFollowerTest, GoesOnAfterAnyMessageWithoutGapOrDuplicate) {
  store_->Configure("web", {.rotation = {.max_bytes = 400, .keep = 10}});
  Flush();
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    Print("web", std::to_string(i) + "\n");
    expected.push_back("web: " + std::to_string(i));
  }
  std::vector<std::string> got;
  Positions after = {{"web", {}}};
  for (bool any = true; any;) {
    const auto reader = Follow({.after = after});
    any = reader->Take(100);
    got.insert(got.end(), reader->lines.begin(), reader->lines.end());
    after = reader->positions;
    EXPECT_THAT(reader->gaps, IsEmpty());
  }
  EXPECT_EQ(got, expected);
}

TEST_F(LogFollowerTest, GoesOnAfterTheAgentWasReplaced) {
  Print("web", "1\n2\n");
  auto reader = Follow({.start = {.count = 9}});
  EXPECT_THAT(reader->TakeAll(), SizeIs(2));
  const Positions after = reader->positions;
  reader.reset();
  Print("web", "3\n");
  ReplaceAgent();
  RotateAlways("web", 3);
  Print("web", "4\n5\n");
  reader = Follow({.after = after});
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 3", "web: 4", "web: 5"));
  EXPECT_THAT(reader->gaps, IsEmpty());
}

TEST_F(LogFollowerTest, SaysWhenThePlaceIsGone) {
  RotateAlways("web", 1);
  Print("web", "1\n");
  auto reader = Follow({.start = {.count = 9}});
  reader->TakeAll();
  const Positions after = reader->positions;
  reader.reset();
  Print("web", "2\n3\n4\n");
  reader = Follow({.after = after});
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 3", "web: 4"));
  EXPECT_THAT(reader->gaps, ElementsAre("web"));
}

TEST_F(LogFollowerTest, ThePlaceBeforeTheFirstLineIsAPlace) {
  auto reader = Follow();
  reader->TakeAll();
  ASSERT_TRUE(reader->positions.contains("web"));
  const Positions after = reader->positions;
  reader.reset();
  RotateAlways("web", 3);
  Print("web", "1\n2\n");
  reader = Follow({.after = after});
  EXPECT_THAT(reader->TakeAll(), ElementsAre("web: 1", "web: 2"));
  EXPECT_THAT(reader->gaps, IsEmpty());
}

// ---- With all threads at work ----

// APM_LOG_LINES=1000000 for the full size.
size_t LinesOfStress() {
  const char* const lines = getenv("APM_LOG_LINES");
  return lines == nullptr ? 200'000 : strtoul(lines, nullptr, 10);
}

class LogFollowerStressTest : public LogFollowerTest {
 protected:
  void SetUp() override { Keep(5); }
  // Small files, so that there are about 40 rotations.
  void Keep(int files) {
    store_->Configure(
        "web", {.rotation = {.max_bytes = lines_ * 42 / 40, .keep = files}});
    Flush();
  }
  std::jthread StartWorker() {
    return std::jthread([this, fd = Open("web")] {
      std::string text;
      for (size_t i = 0; i < lines_; ++i) {
        text += std::to_string(i) + "\n";
        if (text.size() < 3000 && i + 1 < lines_) continue;
        Write(fd.get(), text);
        text.clear();
      }
    });
  }

  const size_t lines_ = LinesOfStress();
};

TEST_F(LogFollowerStressTest, EveryLineArrivesOnceAndInOrderOverRotations) {
  const auto reader = Follow({.workers = {{"web"}}});
  const std::jthread worker = StartWorker();
  size_t next = 0;
  size_t rotations = 0;
  uint64_t file = 0;
  while (next < lines_) {
    // Small messages: the follower is the slower one.
    if (!reader->Take(4 << 10)) reader->AwaitNews();
    for (const std::string& line : std::exchange(reader->lines, {})) {
      ASSERT_EQ(line, "web: " + std::to_string(next++));
    }
    const uint64_t now = reader->positions["web"].inode;
    if (std::exchange(file, now) != now) ++rotations;
  }
  EXPECT_EQ(reader->missed, 0U);
  EXPECT_FALSE(reader->Take());
  EXPECT_GE(rotations, 20U);
  EXPECT_TRUE(std::filesystem::exists(store_->Path("web") + ".5"));
  EXPECT_FALSE(std::filesystem::exists(store_->Path("web") + ".6"));
}

TEST_F(LogFollowerStressTest, WhoeverBeginsInBetweenMissesNothingFromThereOn) {
  const std::jthread worker = StartWorker();
  size_t followed = 0;
  for (size_t last = 0; last + 1 < lines_;) {
    const auto reader = Follow({.workers = {{"web"}}, .start = {.count = 3}});
    std::optional<size_t> previous;
    for (int messages = 0; messages < 20 && last + 1 < lines_; ++messages) {
      if (!reader->Take(64 << 10)) {
        if (previous == lines_ - 1) break;
        reader->AwaitNews();
      }
      for (const std::string& line : std::exchange(reader->lines, {})) {
        last = strtoul(line.c_str() + 5, nullptr, 10);
        ASSERT_EQ(last, previous.value_or(last - 1) + 1);
        previous = last;
      }
    }
    ASSERT_EQ(reader->missed, 0U);
    ++followed;
  }
  EXPECT_GT(followed, 1U);
}

TEST_F(LogFollowerStressTest, WhoeverIsCutOffAgainAndAgainGetsEachLineOnce) {
  Keep(kMaxKeptFiles);  // Nobody holds them while he is away.
  const std::jthread worker = StartWorker();
  Positions after = {{"web", {}}};
  size_t next = 0;
  while (next < lines_) {
    const auto reader =
        Follow({.workers = {{"web"}}, .after = std::exchange(after, {})});
    for (int messages = 0; messages < 30 && next < lines_; ++messages) {
      if (!reader->Take(256 << 10)) reader->AwaitNews();
      for (const std::string& line : std::exchange(reader->lines, {})) {
        ASSERT_EQ(line, "web: " + std::to_string(next++));
      }
    }
    ASSERT_THAT(reader->gaps, IsEmpty());
    after = reader->positions;
  }
}

}  // namespace
}  // namespace apm::logs
