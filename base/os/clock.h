// The time, as an interface so that tests can set it.

#pragma once

#include <absl/time/time.h>

namespace apm {

class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time: for people and logs. May jump.
  virtual absl::Time Now() const = 0;

  // Time since boot without suspend (CLOCK_MONOTONIC): for deadlines. Never
  // jumps; comparable between processes of one host.
  virtual absl::Duration Monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

}  // namespace apm
