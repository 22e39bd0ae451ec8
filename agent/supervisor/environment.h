// What the machines of one supervisor share.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "agent/supervisor/ports.h"
#include "base/os/clock.h"
#include "base/os/timers.h"

namespace apm::supervisor {

// Owned by the supervisor; outlives its workers.
struct Environment {
  Timers& timers;
  const Clock& clock;
  Processes& processes;
  Traffic& traffic;
  Observer& observer;
  std::function<double()> random;  // Uniform in [0, 1).
  uint64_t next_generation;

  // Called as the last act of a timer: the worker looks at what has changed.
  // May destroy the caller.
  std::function<void(const std::string& worker)> settle;

  // Commands that are done. Their callbacks run when the event that finished
  // them is dealt with, and so never meet a machine halfway.
  std::deque<std::pair<std::function<void(absl::Status)>, absl::Status>>
      completed{};
};

}  // namespace apm::supervisor
