// Collects what workers print into rotated files, on a thread of its own.
//
//   auto store = LogStore::Create("/var/log/apm").value();
//   store->AddStream("web", 0, Stream::kErr, std::move(read_end));
//   store->Path("web");  // "/var/log/apm/web.log": log_line.h, log_reader.h.
//
// A full disk never stops a worker: lines are dropped and counted instead, and
// reading goes on.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/logs/log_collector.h"
#include "agent/logs/log_feed.h"
#include "agent/logs/log_line.h"
#include "agent/logs/log_policy.h"
#include "agent/logs/log_writer.h"
#include "agent/logs/stats.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::logs {

// Thread: every function from any thread; the work is done on the log thread.
// A worker's name must be safe as a file name (agent/config checks it).
class LogStore {
 public:
  // Creates `folder` (0750) if it is not there; its parent must be.
  // The error of mkdir, or of the event loop.
  static absl::StatusOr<std::unique_ptr<LogStore>> Create(
      std::string folder, WriteFunction write = SystemWrite);

  LogStore(const LogStore&) = delete;
  LogStore& operator=(const LogStore&) = delete;

  // Writes what has reached the pipes, then ends the thread.
  ~LogStore();

  // How the worker's log is kept from now on; without this, as the defaults
  // of LogPolicy say.
  void Configure(std::string worker, LogPolicy policy);

  // Reads `read_end` until its end, then closes it. Several streams of one
  // instance may overlap: an old process may still talk while a new one does.
  // The descriptor may be open elsewhere too (the keeper's store).
  void AddStream(std::string worker, uint32_t instance, Stream stream,
                 UniqueFd read_end, Origin origin = Origin::kNew);

  // Closes the worker's streams and its file, which stays on disk, and forgets
  // its policy and its recent errors.
  void RemoveWorker(std::string worker);

  // The last lines of stderr (kRecentErrorLines), oldest first; across
  // restarts of the worker, and of the agent where a process was adopted.
  std::vector<std::string> RecentErrors(std::string_view worker,
                                        uint32_t instance) const;

  // The same, but of a process that has just died, and so complete: what is in
  // its pipes is read before. Calls `done` once, on `loop`, within `limit`: a
  // disk that hangs costs the last lines, not the event.
  // REQUIRES: called on the thread of `loop`, which outlives the store and has
  // no turn without it.
  void RecentErrorsAfterFlush(
      EventLoop& loop, std::string worker, uint32_t instance,
      absl::Duration limit, std::function<void(std::vector<std::string>)> done);

  // Runs `done` on the log thread, once everything that workers had printed
  // before this call (at most 1 MiB a stream) is in the files.
  void Flush(std::function<void()> done);

  LogStats Stats() const;  // Of all workers.
  LogStats Stats(std::string_view worker) const;

  // The worker's newest file; log_files.h knows the older ones.
  std::string Path(std::string_view worker) const;

  // Tells of every line written.
  const std::shared_ptr<LogFeed>& feed() const { return feed_; }

 private:
  LogStore(std::string folder, std::unique_ptr<EventLoop> loop,
           WriteFunction write);

  const std::shared_ptr<LogFeed> feed_;  // Of us and of those who follow.
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LogCollector> collector_;  // Runs on thread_.
  std::thread thread_;
};

}  // namespace apm::logs
