// What one worker prints, on its way into its file: formatted, limited in
// rate, gathered into batches, and what was lost accounted for.
//
// Lines that are not written are counted, and one line of ours says so in
// their place, as soon as lines are written again:
//
//   2026-11-21T12:00:00.123456Z err 0 [apm] 1234 lines dropped: more than
//   10000 in 30s

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <absl/time/time.h>

#include "agent/logs/log_line.h"
#include "agent/logs/log_policy.h"
#include "agent/logs/log_writer.h"
#include "agent/logs/rate_limiter.h"
#include "agent/logs/stats.h"

namespace apm::logs {

// A batch is written early when it has grown to this: an empty line, one byte
// when read, takes 35 in the file.
inline constexpr size_t kMaxBatchBytes = size_t{1} << 20;

// Thread: the log thread.
class WorkerLog {
 public:
  // The time by both clocks.
  struct Moment {
    absl::Time time;
    absl::Duration monotonic;
  };

  WorkerLog(std::string worker, std::string path, WriteFunction write,
            LogWriter::WrittenFunction on_written)
      : worker_(std::move(worker)),
        path_(path),
        writer_(std::move(path), RotationPolicy(), std::move(write),
                std::move(on_written)) {}

  void SetPolicy(const LogPolicy& policy);

  // The lines that follow were read at `now`.
  void Begin(Moment now, Stream stream, uint32_t instance);
  void Add(std::string_view line);

  // Writes what was added.
  void Write();

  // Lines were dropped: when to call ReportDropped, by the monotonic clock;
  // infinite if nothing has to be said.
  absl::Duration report_at() const {
    return limiter_.has_dropped() ? limiter_.window_end()
                                  : absl::InfiniteDuration();
  }
  // Says how many, if their window is over.
  void ReportDropped(Moment now);

  // What has been counted since the last call.
  LogStats TakeStats() { return std::exchange(stats_, {}); }

 private:
  // A line of ours, with its newline.
  std::string Notice(uint64_t lines, std::string_view why) const;
  // Says what the disk did not take. False if it still takes nothing.
  bool ReportLost();
  void Lose(uint64_t lines);

  const std::string worker_;
  const std::string path_;
  LogWriter writer_;
  LineFormat format_ = LineFormat::kText;
  RateLimiter limiter_;
  Moment now_{};
  uint32_t instance_ = 0;
  std::string prefix_;  // Of the lines that are being added.
  std::string batch_;   // Not yet written.
  uint64_t lost_ = 0;   // Lines that the disk did not take, not yet said.
  LogStats stats_;
};

}  // namespace apm::logs
