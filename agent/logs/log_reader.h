// Reads the end of a worker's log, over its rotated files.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/logs/log_files.h"
#include "agent/logs/log_filter.h"
#include "agent/logs/log_line.h"

namespace apm::logs {

// What one call may return and may look through, whatever is asked. The bytes
// are chosen to fit into one message of those who ask (gRPC: 4 MiB).
inline constexpr size_t kMaxReadLines = 10'000;
inline constexpr size_t kMaxReadBytes = size_t{3} << 20;
inline constexpr size_t kMaxScanBytes = size_t{256} << 20;

struct LastLines {
  size_t count = 0;
  LogFilter filter = {};
  // The search ends at the first line before.
  absl::Time since = absl::InfinitePast();
  size_t scan_bytes = kMaxScanBytes;
};

// Searches files for them, one by one, the newest first.
class LastLinesSearch {
 public:
  // Where the line begins in its file, and the line.
  using Visit = std::function<void(uint64_t begin, LogLine line)>;

  // `wanted` outlives the search.
  explicit LastLinesSearch(const LastLines& wanted);

  // Calls `visit` for each line that is wanted, the last one first. False if
  // older files have nothing to add. The error of read.
  absl::StatusOr<bool> Search(const LogFile& file, const Visit& visit);

 private:
  const LastLines& wanted_;
  const std::string since_;  // As in a line.
  size_t found_ = 0;
  size_t scanned_ = 0;  // Bytes of files before this one.
};

// The last `wanted.count` lines that pass, oldest first; fewer where
// the limits above end the search. Lines that are not ours are skipped, and so
// is a last line whose newline is not written yet. `path` is the newest file.
// kNotFound if there is none, or the error of open and read.
//
// Reads the files backwards: the cost is that of the end, not of the log.
// Blocks on the disk.
absl::StatusOr<std::vector<LogLine>> ReadLast(const std::string& path,
                                              const LastLines& wanted);

}  // namespace apm::logs
