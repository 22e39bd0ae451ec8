// How one worker's log is kept: what the `log` directive says.

#pragma once

#include <cstdint>

#include <absl/time/time.h>

#include "agent/logs/log_line.h"
#include "agent/logs/rate_limiter.h"

namespace apm::logs {

// When web.log becomes web.log.1, and how many such there are.
struct RotationPolicy {
  uint64_t max_bytes = uint64_t{20} << 20;
  absl::Duration max_age = absl::InfiniteDuration();  // Of its first line.
  int keep = 5;                                       // At most kMaxKeptFiles.

  bool operator==(const RotationPolicy&) const = default;
};

inline constexpr int kMaxKeptFiles = 100;

struct LogPolicy {
  LineFormat format = LineFormat::kText;
  RotationPolicy rotation = {};
  RateLimit rate = {};

  bool operator==(const LogPolicy&) const = default;
};

}  // namespace apm::logs
