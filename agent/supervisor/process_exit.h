// How a process ended.

#pragma once

#include <cstdint>
#include <string>

#include <absl/time/time.h>

namespace apm::supervisor {

struct ProcessExit {
  int code = 0;    // Exit status; meaningless if `signal` is not 0.
  int signal = 0;  // What killed it, or 0.
  bool core_dumped = false;
  absl::Duration user_time;
  absl::Duration system_time;
  uint64_t max_rss_kb = 0;
  int64_t unix_ms = 0;  // When, wall clock.

  friend bool operator==(const ProcessExit&, const ProcessExit&) = default;
};

// "exited with status 1", "killed by SIGSEGV (core dumped)".
std::string DescribeExit(const ProcessExit& exit);

}  // namespace apm::supervisor
