// The log thread's side of the LogStore: reads, splits, writes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/logs/line_splitter.h"
#include "agent/logs/log_line.h"
#include "agent/logs/log_writer.h"
#include "agent/logs/stats.h"
#include "base/os/clock.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::logs {

// What RecentErrors keeps for each instance.
inline constexpr size_t kRecentErrorLines = 50;
inline constexpr size_t kRecentErrorBytes = 1024;  // Of one line.

// A batch is written early when it has grown to this: an empty line, one byte
// when read, takes 35 in the file.
inline constexpr size_t kMaxBatchBytes = size_t{1} << 20;

// Owned by the LogStore. Thread: the log thread, but for RecentErrors and
// Stats, which any thread may call.
class LogCollector {
 public:
  // `loop` outlives the collector.
  LogCollector(EventLoop& loop, std::string folder, WriteFunction write);
  LogCollector(const LogCollector&) = delete;
  LogCollector& operator=(const LogCollector&) = delete;
  ~LogCollector();

  void AddStream(std::string worker, uint32_t instance, Stream stream,
                 UniqueFd read_end);
  void RemoveWorker(const std::string& worker);

  // Reads what is in the pipes now and writes it.
  void Flush();

  std::string Path(std::string_view worker) const;
  std::vector<std::string> RecentErrors(std::string_view worker,
                                        uint32_t instance) const;
  LogStats Stats() const;
  LogStats Stats(std::string_view worker) const;

 private:
  struct WorkerLog {
    explicit WorkerLog(LogWriter file) : writer(std::move(file)) {}
    LogWriter writer;
    std::string batch;  // Lines of this turn, not yet written.
  };
  struct Source {
    std::string worker;
    uint32_t instance;
    Stream stream;
    UniqueFd fd;
    LineSplitter splitter;
  };
  // What other threads may see of a worker.
  struct View {
    LogStats stats;
    std::map<uint32_t, std::deque<std::string>> recent_errors;  // By instance.
  };

  // Reads once. False if there is nothing to read for now, or never again;
  // then `fd` is closed and its source gone.
  bool Read(int fd);
  void Drain(int fd);
  void Close(int fd);
  // Puts lines into the worker's batch and, from stderr, into its view.
  LineSplitter::Sink SinkOf(const Source& source);
  void WriteBatch(const std::string& worker, WorkerLog& log);
  void WriteBatches();

  EventLoop& loop_;
  const std::string folder_;
  const WriteFunction write_;
  const SystemClock clock_;
  std::vector<char> buffer_;
  std::map<int, Source> sources_;  // By descriptor.
  std::map<std::string, WorkerLog> logs_;
  bool write_pending_ = false;  // At the end of this turn.

  // Crash reports and counters are wanted at once, by other threads.
  mutable std::mutex views_mutex_;
  std::map<std::string, View, std::less<>> views_;  // Guarded.
  LogStats total_;                                  // Guarded.
};

}  // namespace apm::logs
