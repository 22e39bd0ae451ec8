// The state of a worker, derived from the states of its instances.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "agent/supervisor/transition_table.h"

namespace apm::supervisor {

enum class WorkerState : uint8_t {
  kStopped,    // Nothing runs and nothing is meant to.
  kStarting,   // On its way up, no trouble seen that is worth another word.
  kReady,      // Every instance is ready.
  kDegraded,   // Some are.
  kStopping,   // Nothing is left but instances that stop.
  kCrashloop,  // None is ready, and one crashes again and again.
  kFailed,     // Nothing runs, because it could not be started.
};

WorkerState DeriveWorkerState(std::span<const InstanceState> instances);

// "degraded".
std::string_view Name(WorkerState state);

}  // namespace apm::supervisor
