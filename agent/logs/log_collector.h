// The log thread's side of the LogStore: reads, splits, and hands lines to
// their worker's log.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/logs/line_splitter.h"
#include "agent/logs/log_feed.h"
#include "agent/logs/log_line.h"
#include "agent/logs/log_policy.h"
#include "agent/logs/log_writer.h"
#include "agent/logs/stats.h"
#include "agent/logs/worker_log.h"
#include "base/os/clock.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::logs {

// What RecentErrors keeps for each instance.
inline constexpr size_t kRecentErrorLines = 50;
inline constexpr size_t kRecentErrorBytes = 1024;  // Of one line.

// Whose process writes to a stream.
enum class Origin : uint8_t {
  kNew,
  kAdopted,  // It ran before this agent did: its log tells its last errors.
};

// Owned by the LogStore. Thread: the log thread, but for RecentErrors and
// Stats, which any thread may call.
class LogCollector {
 public:
  // `loop` outlives the collector.
  LogCollector(EventLoop& loop, std::string folder, WriteFunction write,
               std::shared_ptr<LogFeed> feed);
  LogCollector(const LogCollector&) = delete;
  LogCollector& operator=(const LogCollector&) = delete;
  ~LogCollector();

  void Configure(const std::string& worker, const LogPolicy& policy);
  void AddStream(const std::string& worker, uint32_t instance, Stream stream,
                 UniqueFd read_end, Origin origin);
  void RemoveWorker(const std::string& worker);

  // Reads what is in the pipes now and writes it: of one worker, or of all.
  void Flush(std::string_view worker);
  void FlushAll();

  std::string Path(std::string_view worker) const;
  std::vector<std::string> RecentErrors(std::string_view worker,
                                        uint32_t instance) const;
  LogStats Stats() const;
  LogStats Stats(std::string_view worker) const;

 private:
  struct Source {
    std::string worker;
    uint32_t instance;
    Stream stream;
    UniqueFd fd;
    LineSplitter splitter;
  };
  using RecentErrorLines = std::deque<std::string>;
  // What other threads may see of a worker.
  struct View {
    LogStats stats;
    std::map<uint32_t, RecentErrorLines> recent_errors;  // By instance.
  };

  WorkerLog& LogOf(const std::string& worker);
  WorkerLog::Moment Now() const;

  // Reads once. False if there is nothing to read for now, or never again;
  // then `fd` is closed and its source gone.
  bool Read(int fd);
  void Drain(int fd);
  void Close(int fd);
  // What to do with the lines of a source.
  LineSplitter::Sink SinkOf(const Source& source);
  void Remember(const Source& source, std::string_view line);
  void RecallErrors(const std::string& worker, uint32_t instance);

  void WriteAtEndOfTurn();
  void Write(const std::string& worker, WorkerLog& log);
  void WriteAll();
  // Sees to it that dropped lines are reported though no more come.
  void PlanReports();
  void ReportDropped();

  EventLoop& loop_;
  const std::string folder_;
  const WriteFunction write_;
  const std::shared_ptr<LogFeed> feed_;  // Of the LogStore and the followers.
  const SystemClock clock_;
  std::vector<char> buffer_;
  std::map<int, Source> sources_;  // By descriptor.
  std::map<std::string, WorkerLog> logs_;
  bool write_pending_ = false;  // At the end of this turn.
  TimerId report_timer_ = kNoTimer;

  // Crash reports and counters are wanted at once, by other threads.
  mutable std::mutex views_mutex_;
  std::map<std::string, View, std::less<>> views_;  // Guarded.
  LogStats total_;                                  // Guarded.
};

}  // namespace apm::logs
