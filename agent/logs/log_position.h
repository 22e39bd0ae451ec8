// A place between two lines of one worker's log, which stays valid when files
// are rotated and when the agent is replaced.
//
// A file is known by its inode and a hash of its first bytes: these begin with
// the time of its first line, so a new file that got the inode of a removed
// one is another.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "agent/logs/log_files.h"

namespace apm::logs {

struct LogPosition {
  uint64_t inode = 0;   // 0: before the first line of all.
  uint64_t offset = 0;  // Where the next line begins.
  uint64_t head = 0;    // HashHead(file, offset)

  bool operator==(const LogPosition&) const = default;
};

// Of the first kTimeEnd bytes, or of fewer if `offset` is before their end. 0
// if they cannot be read.
uint64_t HashHead(const LogFile& file, uint64_t offset);

// Whether the position is in `file`.
bool IsIn(const LogPosition& position, const LogFile& file);

std::string FormatPosition(const LogPosition& position);

// kInvalidArgument if it is none of ours.
absl::StatusOr<LogPosition> ParsePosition(std::string_view text);

}  // namespace apm::logs
