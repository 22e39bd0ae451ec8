#include "agent/logs/log_follower.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/logs/backward_lines.h"
#include "base/log/log.h"

namespace apm::logs {
namespace {

constexpr size_t kBlockBytes = size_t{128} << 10;

// What one Take() may look through for a filter that lets nothing pass: others
// use the same thread.
constexpr size_t kScanBytesOfTake = size_t{4} << 20;

uint64_t SizeOf(const LogFile& file) {
  struct stat status {};
  if (fstat(file.fd.get(), &status) != 0) return 0;
  return static_cast<uint64_t>(status.st_size);
}

// Where a line begins that is still to be written, or is half written.
uint64_t EndOfLines(const LogFile& file) {
  BackwardLines backward(file.fd.get(), SizeOf(file));
  return backward.Previous().ok() ? backward.line_begin() : 0;
}

// Fewer bytes than asked for: the end of the file.
std::string_view ReadAt(const LogFile& file, uint64_t offset,
                        std::span<char> into) {
  ssize_t n = 0;
  do {
    n = pread(file.fd.get(), into.data(), into.size(),
              static_cast<off_t>(offset));
  } while (n < 0 && errno == EINTR);
  return {into.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))};
}

}  // namespace

LogFollower::LogFollower(std::shared_ptr<LogFeed> feed,
                         std::shared_ptr<LogSubscription> subscription,
                         std::vector<FollowedWorker> workers, LastLines start)
    : feed_(std::move(feed)),
      subscription_(std::move(subscription)),
      start_(std::move(start)),
      unopened_(std::make_move_iterator(workers.begin()),
                std::make_move_iterator(workers.end())) {}

LogFollower::~LogFollower() { feed_->Cancel(subscription_.get()); }

// ---- Where to begin ----

bool LogFollower::OpenNext() {
  if (!unopened_.empty()) {
    const FollowedWorker worker = std::move(unopened_.front());
    unopened_.pop_front();
    Tail tail;
    Open(worker, tail);
    MakeReady(worker.name, tails_[worker.name] = std::move(tail));
  }
  return !unopened_.empty();
}

void LogFollower::Open(const FollowedWorker& worker, Tail& tail) {
  tail.filter = start_.filter;
  tail.filter.instances = worker.instances;
  if (worker.after) {
    OpenAfter(worker, tail);
  } else {
    OpenLast(worker, tail);
  }
  AcceptNews();
  auto early = early_.extract(worker.name);
  if (early.empty()) return;
  if (!tail.parts.empty()) {
    ForgetUpTo(tail.parts.back().file->inode, early.mapped());
  }
  AddFiles(tail, std::move(early.mapped()));
}

void LogFollower::ForgetUpTo(uint64_t newest,
                             std::vector<LogSubscription::NewFile>& files) {
  const auto first =
      std::find_if(files.begin(), files.end(), [newest](const auto& other) {
        return other.file->inode == newest || other.file->previous == newest;
      });
  for (auto old = files.begin(); old != first; ++old) subscription_->Release();
  files.erase(files.begin(), first);
}

bool LogFollower::OpenFiles(
    const FollowedWorker& worker, Tail& tail,
    const std::function<bool(const LogFile&)>& is_enough) {
  LogFileWalk walk(worker.path);
  for (;;) {
    absl::StatusOr<LogFilePtr> file = walk.Older();
    if (!file.ok()) {
      log::Warning("follow the log of '%s': %s", worker.name,
                   file.status().message());
      return false;
    }
    if (!*file) return false;
    const bool counted = !tail.parts.empty();
    if (counted && !subscription_->Hold()) return false;
    tail.parts.push_front({*std::move(file), 0, 0, counted});
    if (is_enough(*tail.parts.front().file)) return true;
  }
}

void LogFollower::OpenAfter(const FollowedWorker& worker, Tail& tail) {
  const LogPosition& after = *worker.after;
  const bool found = OpenFiles(worker, tail, [&after](const LogFile& file) {
    return after.inode != 0 && IsIn(after, file);
  });
  if (found) {
    tail.parts.front().offset = after.offset;
  } else if (after.inode != 0) {
    gaps_.push_back(worker.name);  // It begins with the oldest file.
  }
}

void LogFollower::OpenLast(const FollowedWorker& worker, Tail& tail) {
  LastLines wanted = start_;
  wanted.filter = tail.filter;
  LastLinesSearch search(wanted);
  LogFilePtr begin_file;
  uint64_t begin = 0;
  OpenFiles(worker, tail, [&](const LogFile& file) {
    if (!begin_file) {
      begin_file = tail.parts.front().file;
      begin = EndOfLines(file);
    }
    const auto more = search.Search(file, [&](uint64_t line_begin, LogLine) {
      begin_file = tail.parts.front().file;
      begin = line_begin;
    });
    return !more.value_or(false);
  });
  if (tail.parts.empty()) return;
  // Files without a wanted line were opened in vain.
  while (tail.parts.front().file != begin_file) {
    Drop(tail.parts.front());
    tail.parts.pop_front();
  }
  tail.parts.front().offset = begin;
}

// ---- What comes later ----

void LogFollower::AcceptNews() {
  for (auto& [worker, files] : subscription_->Take()) {
    const auto tail = tails_.find(worker);
    if (tail == tails_.end()) {
      auto& early = early_[worker];
      std::move(files.begin(), files.end(), std::back_inserter(early));
      continue;
    }
    AddFiles(tail->second, std::move(files));
    MakeReady(worker, tail->second);
  }
}

void LogFollower::MeetNewWorkers() {
  for (auto& [worker, files] : std::exchange(early_, {})) {
    Tail& tail = tails_[worker];
    tail.filter = start_.filter;
    AddFiles(tail, std::move(files));
    MakeReady(worker, tail);
  }
}

void LogFollower::AddFiles(Tail& tail,
                           std::vector<LogSubscription::NewFile> files) {
  for (LogSubscription::NewFile& file : files) {
    const auto known = std::find_if(
        tail.parts.begin(), tail.parts.end(), [&file](const Part& part) {
          return part.file->inode == file.file->inode;
        });
    if (known == tail.parts.end()) {
      if (tail.parts.empty()) missed_ += std::exchange(file.missed, 0);
      tail.parts.push_back(
          {std::move(file.file), file.offset, file.missed, true});
      continue;
    }
    Drop(*known);
    known->file = std::move(file.file);  // Everybody's descriptor.
    known->counted = true;
  }
}

void LogFollower::MakeReady(const std::string& worker, Tail& tail) {
  if (!std::exchange(tail.ready, true)) ready_.push_back(worker);
}

void LogFollower::Drop(Part& part) {
  if (std::exchange(part.counted, false)) subscription_->Release();
}

// ---- Reading ----

LogFollower::Progress LogFollower::Take(std::span<char> scratch,
                                        size_t max_bytes, const Sink& sink) {
  AcceptNews();
  MeetNewWorkers();
  Progress progress;
  Room room{max_bytes, kScanBytesOfTake};
  while (!ready_.empty() && room.bytes > 0 && room.scan_bytes > 0) {
    const std::string worker = std::move(ready_.front());
    ready_.pop_front();
    Tail& tail = tails_[worker];
    if (ReadSome(worker, tail, scratch, room, sink, progress)) {
      ready_.push_back(worker);  // The others first.
    } else {
      tail.ready = false;
    }
  }
  for (auto& [worker, tail] : tails_) {
    if (!std::exchange(tail.moved, false)) continue;
    LogPosition position;
    if (!tail.parts.empty()) {
      const Part& part = tail.parts.front();
      position = {part.file->inode, part.offset,
                  HashHead(*part.file, part.offset)};
    }
    progress.positions.emplace_back(worker, position);
  }
  progress.gaps = std::exchange(gaps_, {});
  progress.missed = std::exchange(missed_, 0);
  progress.more = !ready_.empty();
  if (progress.missed > 0 || !progress.gaps.empty()) {
    progress.is_worth_telling = true;
  }
  return progress;
}

bool LogFollower::ReadSome(const std::string& worker, Tail& tail,
                           std::span<char> scratch, Room& room,
                           const Sink& sink, Progress& progress) {
  if (tail.parts.empty()) return false;
  Part& part = tail.parts.front();
  std::span<char> block = scratch.first(kBlockBytes);
  std::string_view bytes = ReadAt(*part.file, part.offset, block);
  size_t newline = bytes.rfind('\n');
  if (newline == std::string_view::npos && bytes.size() == block.size()) {
    block = scratch;  // A line that is longer than the block.
    bytes = ReadAt(*part.file, part.offset, block);
    newline = bytes.rfind('\n');
  }
  room.scan_bytes -= std::min(room.scan_bytes, bytes.size());
  if (newline != std::string_view::npos) {
    HandOn(worker, tail, bytes.substr(0, newline + 1), room, sink);
    return true;
  }
  if (bytes.size() == block.size()) {
    // Longer than any line of ours.
    tail.in_endless_line = true;
    part.offset += bytes.size();
    return true;
  }
  return ReadOn(tail, progress);
}

bool LogFollower::ReadOn(Tail& tail, Progress& progress) {
  Part& part = tail.parts.front();
  if (tail.parts.size() > 1) {
    // The writer has gone on to another file: this one is complete.
    Drop(part);
    tail.parts.pop_front();
    tail.in_endless_line = false;
    tail.moved = true;
    missed_ += std::exchange(tail.parts.front().missed, 0);
    progress.is_worth_telling = true;  // Else the old file is soon gone.
    return true;
  }
  if (SizeOf(*part.file) >= part.offset) return false;
  part.offset = 0;  // Somebody emptied it.
  tail.moved = true;
  return true;
}

void LogFollower::HandOn(const std::string& worker, Tail& tail,
                         std::string_view lines, Room& room, const Sink& sink) {
  Part& part = tail.parts.front();
  tail.moved = true;
  while (!lines.empty() && room.bytes > 0) {
    const std::string_view raw = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(raw.size() + 1);
    part.offset += raw.size() + 1;
    if (std::exchange(tail.in_endless_line, false)) continue;
    std::optional<LogLine> line = Match(raw, tail.filter);
    if (!line) continue;
    room.bytes -= std::min(room.bytes, raw.size());
    sink(worker, *std::move(line));
  }
}

}  // namespace apm::logs
