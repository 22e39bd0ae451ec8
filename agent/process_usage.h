// CPU and memory of processes, from /proc.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

#include <absl/time/time.h>

#include "agent/agent_api.h"

namespace apm::agent {

// Remembers the CPU time it saw at each look, so that the next look gives a
// percentage over the time between. The first look at a process is over its
// whole life.
//
// Thread: the owner's.
class UsageSampler {
 public:
  // Usage of `pid`, which started at `start_ticks` (ProcessStartTicks): all
  // zero if it is gone or another one by now. `now` is monotonic.
  ProcessUsage Look(pid_t pid, uint64_t start_ticks, absl::Duration now);

  void Forget(pid_t pid) { seen_.erase(pid); }

 private:
  struct Seen {
    uint64_t start_ticks = 0;
    uint64_t cpu_ticks = 0;
    absl::Duration at;
    double percent = 0;
  };
  std::unordered_map<pid_t, Seen> seen_;
};

}  // namespace apm::agent
