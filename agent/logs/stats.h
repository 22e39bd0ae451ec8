// Counters of the log store.

#pragma once

#include <cstdint>

namespace apm::logs {

// Since the start. Dropped lines could not be written (a full disk), or were
// more than their worker may write.
struct LogStats {
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t dropped_lines = 0;

  LogStats& operator+=(const LogStats& other) {
    lines += other.lines;
    bytes += other.bytes;
    dropped_lines += other.dropped_lines;
    return *this;
  }
  bool operator==(const LogStats&) const = default;
};

}  // namespace apm::logs
