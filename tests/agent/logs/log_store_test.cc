#include "agent/logs/log_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/log_collector.h"
#include "agent/logs/log_policy.h"
#include "agent/logs/log_reader.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/agent/logs/temp_folder.h"
#include "tests/testing/status_matchers.h"

namespace apm::logs {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LogStoreTest : public ::testing::Test {
 protected:
  // The worker's end of a new stream.
  UniqueFd Open(std::string worker, uint32_t instance, Stream stream) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    store_->AddStream(std::move(worker), instance, stream, UniqueFd(ends[0]));
    return UniqueFd(ends[1]);
  }
  static void Print(const UniqueFd& fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = write(fd.get(), text.data(), text.size());
      ASSERT_GT(n, 0);
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  void Flush() {
    std::promise<void> done;
    store_->Flush([&] { done.set_value(); });
    done.get_future().wait();
  }
  std::vector<std::string> Lines(const std::string& worker) {
    Flush();
    const auto lines = ReadLast(store_->Path(worker), {.count = kMaxReadLines});
    std::vector<std::string> texts;
    if (!lines.ok()) return texts;
    for (const LogLine& line : *lines) {
      texts.push_back(std::string(Name(line.stream)) + " " +
                      std::to_string(line.instance) + " " + line.text);
    }
    return texts;
  }
  bool HasOpen(const std::string& path) {
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      if (std::filesystem::read_symlink(entry.path(), ignored) == path) {
        return true;
      }
    }
    return false;
  }

  const TempFolder temp_;
  const std::string folder_ = temp_ / "logs";
  std::atomic<bool> disk_full_{false};
  std::atomic<size_t> largest_write_{0};
  std::unique_ptr<LogStore> store_ =
      LogStore::Create(folder_, [this](int fd, const char* data, size_t size) {
        largest_write_ = std::max(largest_write_.load(), size);
        if (!disk_full_) return SystemWrite(fd, data, size);
        errno = ENOSPC;
        return ssize_t{-1};
      }).value();
};

TEST_F(LogStoreTest, CreatesAFolderThatIsNotForEverybody) {
  struct stat status {};
  ASSERT_EQ(stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0027U, 0U);
}

TEST_F(LogStoreTest, AFolderThatCannotBeMadeIsAnError) {
  EXPECT_THAT(LogStore::Create(temp_ / "no/such/parent"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(LogStoreTest, KeepsTheStreamsOfAWorkerApart) {
  const UniqueFd out = Open("web", 0, Stream::kOut);
  const UniqueFd err = Open("web", 1, Stream::kErr);
  Print(out, "he");
  Print(err, "oops\n");
  Flush();
  Print(out, "llo\n");
  EXPECT_THAT(Lines("web"), ElementsAre("err 1 oops", "out 0 hello"));
}

TEST_F(LogStoreTest, KeepsWorkersApart) {
  Print(Open("web", 0, Stream::kOut), "of web\n");
  Print(Open("api", 0, Stream::kOut), "of api\n");
  EXPECT_THAT(Lines("web"), ElementsAre("out 0 of web"));
  EXPECT_THAT(Lines("api"), ElementsAre("out 0 of api"));
}

TEST_F(LogStoreTest, ALineWithoutNewlineIsWrittenAtTheEnd) {
  UniqueFd out = Open("web", 0, Stream::kOut);
  Print(out, "last words");
  EXPECT_THAT(Lines("web"), IsEmpty());
  out.Reset();
  EXPECT_THAT(Lines("web"), ElementsAre("out 0 last words"));
}

TEST_F(LogStoreTest, ANewStreamGoesOnWhereTheOldOneEnded) {
  Print(Open("web", 0, Stream::kErr), "first process\n");
  Print(Open("web", 0, Stream::kErr), "second process\n");
  EXPECT_THAT(Lines("web"),
              ElementsAre("err 0 first process", "err 0 second process"));
}

TEST_F(LogStoreTest, AHundredThousandLinesArriveWholeAndInOrder) {
  constexpr int kLines = 50'000;
  std::vector<std::thread> writers;
  for (const Stream stream : {Stream::kOut, Stream::kErr}) {
    writers.emplace_back([fd = Open("web", 0, stream)] {
      std::string text;
      for (int i = 0; i < kLines; ++i) {
        text += std::to_string(i) + "\n";
        if (text.size() < 1000 && i + 1 < kLines) continue;
        Print(fd, text);
        text.clear();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  Flush();
  int next[2] = {0, 0};
  std::ifstream file(store_->Path("web"));
  for (std::string raw; std::getline(file, raw);) {
    const std::optional<LogLine> line = ParseLine(raw);
    ASSERT_TRUE(line.has_value()) << raw;
    ASSERT_EQ(line->text,
              std::to_string(next[static_cast<size_t>(line->stream)]++));
  }
  EXPECT_THAT(next, ElementsAre(kLines, kLines));
  EXPECT_EQ(store_->Stats().lines, 2U * kLines);
  EXPECT_EQ(store_->Stats("web").bytes,
            std::filesystem::file_size(store_->Path("web")));
}

TEST_F(LogStoreTest, AFullDiskDropsAndCountsAndKeepsReading) {
  const UniqueFd out = Open("web", 0, Stream::kOut);
  disk_full_ = true;
  // More than the pipe holds: the worker would block if nobody read.
  for (int i = 0; i < 1000; ++i) Print(out, std::string(999, 'x') + "\n");
  Flush();
  EXPECT_EQ(store_->Stats("web").dropped_lines, 1000U);
  disk_full_ = false;
  Print(out, "space again\n");
  EXPECT_THAT(
      Lines("web"),
      ElementsAre("err 0 [apm] 1000 lines dropped: No space left on device",
                  "out 0 space again"));
  EXPECT_EQ(store_->Stats().lines, 1U);
}

TEST_F(LogStoreTest, EmptyLinesDoNotBecomeALargeBatch) {
  const UniqueFd out = Open("web", 0, Stream::kOut);
  for (int i = 0; i < 4; ++i) Print(out, std::string(60'000, '\n'));
  Flush();
  EXPECT_EQ(store_->Stats("web").lines, 240'000U);
  EXPECT_LE(largest_write_, kMaxBatchBytes + 100);
}

TEST_F(LogStoreTest, RemembersTheLastErrorsOfEachInstance) {
  const UniqueFd zero = Open("web", 0, Stream::kErr);
  const UniqueFd one = Open("web", 1, Stream::kErr);
  for (size_t i = 0; i < kRecentErrorLines + 1; ++i) {
    Print(zero, std::to_string(i) + "\n");
  }
  Print(one, std::string(kRecentErrorBytes + 1, 'x') + "\n");
  Flush();
  const std::vector<std::string> recent = store_->RecentErrors("web", 0);
  ASSERT_THAT(recent, SizeIs(kRecentErrorLines));
  EXPECT_EQ(recent.front(), "1");
  EXPECT_EQ(recent.back(), std::to_string(kRecentErrorLines));
  EXPECT_THAT(store_->RecentErrors("web", 1),
              ElementsAre(SizeIs(kRecentErrorBytes)));
  EXPECT_THAT(store_->RecentErrors("web", 2), IsEmpty());
  EXPECT_THAT(store_->RecentErrors("api", 0), IsEmpty());
}

TEST_F(LogStoreTest, WhatIsPrintedIsNoError) {
  Print(Open("web", 0, Stream::kOut), "hello\n");
  Flush();
  EXPECT_THAT(store_->RecentErrors("web", 0), IsEmpty());
}

TEST_F(LogStoreTest, ErrorsAreRememberedThoughTheDiskIsFull) {
  disk_full_ = true;
  Print(Open("web", 0, Stream::kErr), "oops\n");
  Flush();
  EXPECT_THAT(store_->RecentErrors("web", 0), ElementsAre("oops"));
}

TEST_F(LogStoreTest, RemovingAWorkerWritesTheRestAndClosesItsFile) {
  const UniqueFd err = Open("web", 0, Stream::kErr);
  const std::string path = store_->Path("web");
  Print(err, "one\n");
  Flush();
  EXPECT_TRUE(HasOpen(path));
  Print(err, "two");
  store_->RemoveWorker("web");
  EXPECT_THAT(Lines("web"), ElementsAre("err 0 one", "err 0 two"));
  EXPECT_FALSE(HasOpen(path));
  EXPECT_THAT(store_->RecentErrors("web", 0), IsEmpty());
}

TEST_F(LogStoreTest, AWorkerThatComesBackAppends) {
  Print(Open("web", 0, Stream::kOut), "one\n");
  store_->RemoveWorker("web");
  Print(Open("web", 0, Stream::kOut), "two\n");
  EXPECT_THAT(Lines("web"), ElementsAre("out 0 one", "out 0 two"));
}

TEST_F(LogStoreTest, AnAdoptedStreamEndsWithItsWriterThoughAnotherHoldsIt) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd write_end(ends[1]);
  const UniqueFd of_the_keeper(fcntl(ends[0], F_DUPFD_CLOEXEC, 0));
  store_->AddStream("web", 0, Stream::kErr, UniqueFd(ends[0]),
                    Origin::kAdopted);
  Print(write_end, "last words");
  write_end.Reset();
  EXPECT_THAT(Lines("web"), ElementsAre("err 0 last words"));
}

TEST_F(LogStoreTest, AnAdoptedInstanceKeepsTheErrorsOfBefore) {
  Print(Open("web", 0, Stream::kErr), "of zero\n");
  Print(Open("web", 1, Stream::kErr), "of one\n");
  Print(Open("web", 1, Stream::kOut), "no error\n");
  store_ = LogStore::Create(folder_).value();  // Another agent.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd write_end(ends[1]);
  store_->AddStream("web", 1, Stream::kErr, UniqueFd(ends[0]),
                    Origin::kAdopted);
  Print(write_end, "and then\n");
  Flush();
  EXPECT_THAT(store_->RecentErrors("web", 1),
              ElementsAre("of one", "and then"));
  EXPECT_THAT(store_->RecentErrors("web", 0), IsEmpty());
}

TEST_F(LogStoreTest, TheLastErrorsOfADeadProcessAreComplete) {
  const auto loop = EventLoop::Create().value();
  Print(Open("web", 0, Stream::kErr), "first\nlast words");
  std::vector<std::string> errors;
  store_->RecentErrorsAfterFlush(*loop, "web", 0, absl::Minutes(1),
                                 [&](std::vector<std::string> lines) {
                                   errors = std::move(lines);
                                   loop->Stop();
                                 });
  loop->Run();
  EXPECT_THAT(errors, ElementsAre("first", "last words"));
}

TEST_F(LogStoreTest, ALogThreadThatHangsCostsTheLastErrorsNotTheAnswer) {
  std::promise<void> disk_is_back;
  store_->Flush([&] { disk_is_back.get_future().wait(); });
  const auto loop = EventLoop::Create().value();
  int answers = 0;
  store_->RecentErrorsAfterFlush(*loop, "web", 0, absl::Milliseconds(1),
                                 [&](const std::vector<std::string>& lines) {
                                   EXPECT_THAT(lines, IsEmpty());
                                   ++answers;
                                   loop->Stop();
                                 });
  loop->Run();
  disk_is_back.set_value();
  Flush();
  loop->RunOnce(absl::ZeroDuration());  // The late answer.
  EXPECT_EQ(answers, 1);
}

TEST_F(LogStoreTest, APolicyChangesTheFormatFromThenOn) {
  const UniqueFd out = Open("web", 0, Stream::kOut);
  Print(out, "one\n");
  Flush();
  store_->Configure("web", {.format = LineFormat::kJson});
  Flush();
  Print(out, "two\n");
  EXPECT_THAT(Lines("web"), ElementsAre("out 0 one", "out 0 two"));
  EXPECT_THAT(Contents(store_->Path("web")),
              ::testing::EndsWith("\"text\":\"two\"}\n"));
}

TEST_F(LogStoreTest, DroppedLinesAreReportedThoughNoMoreCome) {
  store_->Configure("web",
                    {.rate = {.lines = 2, .per = absl::Milliseconds(1)}});
  Flush();
  Print(Open("web", 0, Stream::kOut), "1\n2\n3\n4\n5\n");
  std::vector<std::string> lines;
  while (lines.size() < 3) lines = Lines("web");
  EXPECT_THAT(lines,
              ElementsAre("out 0 1", "out 0 2",
                          "err 0 [apm] 3 lines dropped: more than 2 in 1ms"));
  EXPECT_EQ(store_->Stats("web").dropped_lines, 3U);
}

TEST_F(LogStoreTest, AWorkerThatNeverStopsPrintingHoldsUpNoOther) {
  const UniqueFd quiet = Open("quiet", 0, Stream::kOut);
  std::atomic<bool> stop{false};
  std::thread flood([&stop, fd = Open("flood", 0, Stream::kOut)] {
    const std::string block(60'000, '\n');
    while (!stop) Print(fd, block);
  });
  Print(quiet, "hello\n");
  while (store_->Stats("quiet").lines == 0) std::this_thread::yield();
  stop = true;
  flood.join();
}

TEST_F(LogStoreTest, ItsEndWritesWhatIsInThePipes) {
  const UniqueFd out = Open("web", 0, Stream::kOut);
  Print(out, "one\n");
  const std::string path = store_->Path("web");
  store_.reset();
  EXPECT_THAT(Contents(path), ::testing::EndsWith(" out 0 one\n"));
}

}  // namespace
}  // namespace apm::logs
