// Reads the logs of several workers as they grow: the last lines of each, then
// every further one, over rotations. Each line once, in its worker's order.
//
// What was written when the follower opened the files he finds by himself;
// what comes later he hears of by a LogSubscription, which holds the files for
// him: in between nothing is lost, since he subscribes first, and nothing
// comes twice, since a file that he has he recognises.
//
// Keeps no text: a block is read when lines are wanted, so that a slow client
// costs open files (kMaxBacklogFiles), not memory.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/logs/log_feed.h"
#include "agent/logs/log_files.h"
#include "agent/logs/log_filter.h"
#include "agent/logs/log_line.h"
#include "agent/logs/log_position.h"
#include "agent/logs/log_reader.h"

namespace apm::logs {

// What Take() needs to read into; may serve many followers.
inline constexpr size_t kScratchBytes = kMaxStoredLineBytes + 1;

struct FollowedWorker {
  std::string name;
  std::string path;                  // Its newest file.
  std::set<uint32_t> instances;      // Empty: every one.
  std::optional<LogPosition> after;  // Else it begins with its last lines.
};

// Thread: one at a time; blocks on the disk.
class LogFollower {
 public:
  using Sink = std::function<void(const std::string& worker, LogLine line)>;

  // What one Take() has done besides its lines.
  struct Progress {
    // Where the workers that have moved are now.
    std::vector<std::pair<std::string, LogPosition>> positions;
    std::vector<std::string> gaps;  // Workers whose `after` is gone.
    uint64_t missed = 0;  // Lines, whatever the filter, in files not held.
    // Even without lines: something above must not be forgotten.
    bool is_worth_telling = false;
    bool more = false;  // Lines are waiting.
  };

  // `subscription` was given to `feed` before `workers` were looked up.
  // `start` says which lines of a worker without `after` come first.
  LogFollower(std::shared_ptr<LogFeed> feed,
              std::shared_ptr<LogSubscription> subscription,
              std::vector<FollowedWorker> workers, LastLines start);
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;
  ~LogFollower();

  // Finds the place to begin of one worker more. False if all are found.
  bool OpenNext();

  // Hands on lines of about `max_bytes`, at most one line more; may hand on
  // none though more are waiting, if it looked through many in vain. The first
  // one tells every worker's position. REQUIRES: OpenNext() returned false;
  // scratch.size() is kScratchBytes.
  Progress Take(std::span<char> scratch, size_t max_bytes, const Sink& sink);

 private:
  struct Part {
    LogFilePtr file;
    uint64_t offset = 0;   // Where the next line begins.
    uint64_t missed = 0;   // Before it.
    bool counted = false;  // As held by the subscription.
  };
  struct Tail {
    LogFilter filter;
    std::deque<Part> parts;  // The oldest, which is being read, first.
    bool in_endless_line = false;
    bool ready = false;  // In ready_.
    bool moved = true;   // Since its position was told.
  };
  struct Room {  // What is left of a Take().
    size_t bytes;
    size_t scan_bytes;
  };

  void Open(const FollowedWorker& worker, Tail& tail);
  // Files that were written before the newest one there was: we have them, or
  // chose not to.
  void ForgetUpTo(uint64_t newest,
                  std::vector<LogSubscription::NewFile>& files);
  // The files of `worker` as parts, from the newest on until `is_enough`.
  // False if there is none for which it is.
  bool OpenFiles(const FollowedWorker& worker, Tail& tail,
                 const std::function<bool(const LogFile&)>& is_enough);
  void OpenAfter(const FollowedWorker& worker, Tail& tail);
  void OpenLast(const FollowedWorker& worker, Tail& tail);

  void AcceptNews();
  // Those that began to print after the others were looked up.
  void MeetNewWorkers();
  void AddFiles(Tail& tail, std::vector<LogSubscription::NewFile> files);
  void MakeReady(const std::string& worker, Tail& tail);

  // Reads a block. False if there is nothing more for now.
  bool ReadSome(const std::string& worker, Tail& tail, std::span<char> scratch,
                Room& room, const Sink& sink, Progress& progress);
  bool ReadOn(Tail& tail, Progress& progress);  // What to do at a file's end.
  void HandOn(const std::string& worker, Tail& tail, std::string_view lines,
              Room& room, const Sink& sink);
  // Gives its place among the held files back.
  void Drop(Part& part);

  const std::shared_ptr<LogFeed> feed_;
  const std::shared_ptr<LogSubscription> subscription_;
  const LastLines start_;
  std::deque<FollowedWorker> unopened_;
  LogSubscription::News early_;  // Of workers that have no tail yet.
  std::map<std::string, Tail> tails_;
  std::deque<std::string> ready_;
  std::vector<std::string> gaps_;  // Not yet told.
  uint64_t missed_ = 0;            // Likewise.
};

}  // namespace apm::logs
