// Reads the end of a worker's log file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/logs/log_line.h"

namespace apm::logs {

// What one call may return and may look through, whatever is asked. The bytes
// are chosen to fit into one message of those who ask (gRPC: 4 MiB).
inline constexpr size_t kMaxReadLines = 10'000;
inline constexpr size_t kMaxReadBytes = size_t{3} << 20;
inline constexpr size_t kMaxScanBytes = size_t{256} << 20;

struct LogFilter {
  std::optional<uint32_t> instance = std::nullopt;
  std::optional<Stream> stream = std::nullopt;
  std::string contains = {};  // Empty: every line.
};

// The last `count` lines that pass `filter`, oldest first; fewer where the
// limits above end the search. Lines that are not ours are skipped, and so is
// a last line whose newline is not written yet. kNotFound, or the error of
// open and read.
//
// Reads the file backwards: the cost is that of the end, not of the file.
// Blocks on the disk.
absl::StatusOr<std::vector<LogLine>> ReadLast(const std::string& path,
                                              size_t count,
                                              const LogFilter& filter);

}  // namespace apm::logs
