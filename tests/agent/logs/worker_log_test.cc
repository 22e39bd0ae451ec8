#include "agent/logs/worker_log.h"

#include <errno.h>

#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/log_reader.h"
#include "tests/agent/logs/temp_folder.h"

namespace apm::logs {
namespace {

using ::testing::ElementsAre;

class WorkerLogTest : public ::testing::Test {
 protected:
  void Print(std::string_view line, Stream stream = Stream::kOut) {
    log_.Begin(now_, stream, 0);
    log_.Add(line);
  }
  void Pass(absl::Duration time) {
    now_.time += time;
    now_.monotonic += time;
  }
  std::vector<std::string> Written() {
    log_.Write();
    std::vector<std::string> texts;
    const auto lines = ReadLast(path_, {.count = kMaxReadLines});
    if (!lines.ok()) return texts;
    for (const LogLine& line : *lines) {
      texts.push_back(std::string(Name(line.stream)) + " " + line.text);
    }
    return texts;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "web.log";
  WorkerLog::Moment now_{absl::FromUnixSeconds(1'790'000'000), absl::Hours(1)};
  bool disk_full_ = false;
  WorkerLog log_{"web", path_,
                 [this](int fd, const char* data, size_t size) {
                   if (!disk_full_) return SystemWrite(fd, data, size);
                   errno = ENOSPC;
                   return ssize_t{-1};
                 },
                 nullptr};
};

TEST_F(WorkerLogTest, ANoticeStandsWhereLinesWereDropped) {
  log_.SetPolicy({.rate = {.lines = 2, .per = absl::Seconds(30)}});
  for (const char* line : {"1", "2", "3", "4"}) Print(line);
  EXPECT_EQ(log_.report_at(), now_.monotonic + absl::Seconds(30));
  Pass(absl::Seconds(30));
  Print("5");
  EXPECT_THAT(
      Written(),
      ElementsAre("out 1", "out 2",
                  "err [apm] 2 lines dropped: more than 2 in 30s", "out 5"));
  EXPECT_EQ(log_.TakeStats().dropped_lines, 2U);
}

TEST_F(WorkerLogTest, ANoticeNeedsNoFurtherLine) {
  log_.SetPolicy({.rate = {.lines = 1, .per = absl::Seconds(1)}});
  Print("1");
  Print("2");
  Pass(absl::Seconds(1));
  log_.ReportDropped(now_);
  EXPECT_EQ(log_.report_at(), absl::InfiniteDuration());
  EXPECT_THAT(
      Written(),
      ElementsAre("out 1", "err [apm] 1 line dropped: more than 1 in 1s"));
}

TEST_F(WorkerLogTest, AnUnchangedLimitKeepsItsCount) {
  const LogPolicy policy{.rate = {.lines = 1, .per = absl::Seconds(1)}};
  log_.SetPolicy(policy);
  Print("1");
  log_.SetPolicy(policy);
  Print("2");
  EXPECT_THAT(Written(), ElementsAre("out 1"));
}

TEST_F(WorkerLogTest, WhenTheDiskHasSpaceAgainItSaysWhatIsMissing) {
  Print("1");
  log_.Write();
  disk_full_ = true;
  for (const char* line : {"2", "3"}) {
    Print(line);
    log_.Write();
  }
  disk_full_ = false;
  Print("4");
  EXPECT_THAT(
      Written(),
      ElementsAre("out 1", "err [apm] 2 lines dropped: No space left on device",
                  "out 4"));
  const LogStats stats = log_.TakeStats();
  EXPECT_EQ(stats.lines, 2U);
  EXPECT_EQ(stats.dropped_lines, 2U);
}

}  // namespace
}  // namespace apm::logs
