// Copies of the supervisor's state, for the control API and the exporters.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/transition_table.h"
#include "agent/supervisor/worker_state.h"

namespace apm::supervisor {

struct InstanceSnapshot {
  uint32_t index = 0;
  uint64_t generation = 0;  // Of the latest attempt; 0 if never started.
  pid_t pid = 0;            // 0 while it does not run.
  InstanceState state = InstanceState::kStopped;
  uint64_t restarts = 0;  // Automatic ones since the last commanded start.

  // When the process was spawned; only while it runs.
  std::optional<absl::Time> started_at;
  absl::Duration uptime;  // By the monotonic clock.

  std::optional<ProcessExit> last_exit;
  std::optional<absl::Time> next_retry_at;  // In backoff and crashloop.
  std::string problem;    // The last failure in words; empty once ready.
  std::string connector;  // "python/1.0"; empty if it did not say.
};

struct WorkerSnapshot {
  std::string name;
  WorkerState state = WorkerState::kStopped;
  bool reloading = false;
  std::vector<InstanceSnapshot> instances;  // By index.
};

}  // namespace apm::supervisor
