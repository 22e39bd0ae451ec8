// How those who follow logs learn of new lines, without slowing down the log
// thread or losing a file to rotation.
//
// The log thread says what it wrote: which worker, which file, from which
// offset. A subscription keeps of that only "this worker has more" and the
// files themselves, open, in their order; the follower reads them at his own
// pace. Files that he holds are bounded: beyond that he gets none, the lines
// in them are counted, and the next one he has room for carries that count.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/logs/log_files.h"

namespace apm::logs {

// How many files a follower may hold besides one for each of his workers.
inline constexpr size_t kMaxBacklogFiles = 64;

// One follower's share of the news. Owned by: the follower, and the feed until
// Cancel(). Thread: any.
class LogSubscription {
 public:
  struct NewFile {
    LogFilePtr file;
    uint64_t offset = 0;  // Where what he does not have begins.
    uint64_t missed = 0;  // Lines between the file before it and `offset`.
  };
  // By worker: the files it went on in, usually none, since it went on where
  // it was.
  using News = std::map<std::string, std::vector<NewFile>, std::less<>>;

  // No `workers`: all, also those to come. `wake` is called once news have
  // come, then not again before Take(); on the log thread, with locks held.
  LogSubscription(std::optional<std::set<std::string>> workers,
                  std::function<void()> wake)
      : workers_(std::move(workers)), wake_(std::move(wake)) {}

  News Take();

  // Another file is held besides those that were in the news; false if that
  // would be too many.
  bool Hold();
  // One is held no more.
  void Release();

 private:
  friend class LogFeed;
  struct Worker {
    std::weak_ptr<const LogFile> current;  // The last one he was given.
    uint64_t missed = 0;                   // Lines since then.
  };

  void OnWritten(const std::string& worker, const LogFilePtr& file,
                 uint64_t offset, std::string_view bytes);

  const std::optional<std::set<std::string>> workers_;
  const std::function<void()> wake_;

  // Written by the log thread, read by the follower's.
  std::mutex mutex_;
  std::map<std::string, Worker> given_;  // Guarded by mutex_, as is the rest.
  News news_;
  size_t held_ = 0;
};

// Owned by: the LogStore and the followers, who may outlive it.
class LogFeed {
 public:
  // From now on the subscription gets news. Thread: any.
  void Subscribe(std::shared_ptr<LogSubscription> subscription);
  // It gets no more, and `wake` is not running.
  void Cancel(const LogSubscription* subscription);

  // Thread: the log thread.
  void OnWritten(const std::string& worker, const LogFilePtr& file,
                 uint64_t offset, std::string_view bytes);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<LogSubscription>> subscriptions_;  // Guarded.
};

}  // namespace apm::logs
