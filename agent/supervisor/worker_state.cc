#include "agent/supervisor/worker_state.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace apm::supervisor {

WorkerState DeriveWorkerState(std::span<const InstanceState> instances) {
  const auto count = [&](InstanceState state) {
    return static_cast<size_t>(
        std::count(instances.begin(), instances.end(), state));
  };
  const size_t ready = count(InstanceState::kReady);
  const size_t at_rest = count(InstanceState::kStopped) +
                         count(InstanceState::kExited) +
                         count(InstanceState::kFailed);
  if (at_rest == instances.size()) {
    return count(InstanceState::kFailed) > 0 ? WorkerState::kFailed
                                             : WorkerState::kStopped;
  }
  if (ready == instances.size()) return WorkerState::kReady;
  // Ready ones and starting ones: coming up, as after every start.
  if (count(InstanceState::kStarting) > 0 &&
      ready + count(InstanceState::kStarting) == instances.size()) {
    return WorkerState::kStarting;
  }
  if (ready > 0 || count(InstanceState::kUnready) > 0) {
    return WorkerState::kDegraded;
  }
  if (count(InstanceState::kCrashloop) > 0) return WorkerState::kCrashloop;
  if (at_rest + count(InstanceState::kStopping) == instances.size()) {
    return WorkerState::kStopping;
  }
  return WorkerState::kStarting;
}

std::string_view Name(WorkerState state) {
  switch (state) {
    case WorkerState::kStopped:
      return "stopped";
    case WorkerState::kStarting:
      return "starting";
    case WorkerState::kReady:
      return "ready";
    case WorkerState::kDegraded:
      return "degraded";
    case WorkerState::kStopping:
      return "stopping";
    case WorkerState::kCrashloop:
      return "crashloop";
    case WorkerState::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace apm::supervisor
