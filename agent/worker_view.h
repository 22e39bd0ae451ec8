// What people and programs are shown of a worker, put together from what the
// modules know about it. Pure: whoever asks has gathered the parts.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/agent_api.h"
#include "agent/supervisor/stats.h"
#include "agent/worker_record.h"

namespace apm::agent {

struct WorkerParts {
  const WorkerRecord& record;
  const supervisor::WorkerSnapshot& snapshot;
  std::vector<ProcessUsage> usage;  // As snapshot.instances.
  TrafficCounters counters;
  // The newest line of an instance's stderr; empty if it wrote none.
  std::function<std::string(uint32_t instance)> last_error_line;
};

WorkerView ViewWorker(WorkerParts parts);

}  // namespace apm::agent
