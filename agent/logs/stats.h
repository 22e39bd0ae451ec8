// Counters of the log store.

#pragma once

#include <cstdint>

namespace apm::logs {

// Since the start; `dropped` could not be written (a full disk).
struct LogStats {
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t dropped_lines = 0;
};

}  // namespace apm::logs
