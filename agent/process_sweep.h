// Ends what a worker left behind, wherever it went: a process that was forked
// twice, that started a session of its own, that ignores SIGTERM. All of them
// carry APM_PROCESS of the process they come from (worker_environment.h).
//
//   SweepReport report = SweepProcesses({{{tag, worker_pid}}});
//
// It looks at /proc/<pid>/environ of every process that may be read. One that
// wiped its own environment is not found: without cgroups nothing tells it
// from a stranger.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/supervisor/ports.h"

namespace apm::agent {

// What is left of one process that has ended.
struct SweepTarget {
  std::string tag;  // FormatProcessTag(); anything else matches nobody.
  // Its pid, and so its process group, which is killed with it: members are
  // ended, but not reported. 0: not known.
  pid_t group = 0;
};

// A fork bomb may outrun any sweep.
struct SweepLimits {
  absl::Duration time = absl::Seconds(5);
  size_t kills = 10'000;
};

struct SweepReport {
  struct Killed {
    std::string tag;  // Its APM_PROCESS.
    supervisor::Survivor who;
  };
  std::vector<Killed> killed;
  bool complete = true;  // False: a limit was reached, and some may live.
};

// SIGKILL to every process that carries one of the tags, whole; again, until a
// look at all processes finds none. Many targets cost no more than one. Never
// kills the caller or pid 1.
//
// Thread: any; blocks, up to limits.time, so not the main loop's.
SweepReport SweepProcesses(std::span<const SweepTarget> targets,
                           const SweepLimits& limits = {});

// The same for everything of the daemon with that id. It has to be a whole
// one (IsDaemonId): with anything else nothing is done.
SweepReport SweepDaemon(std::string_view daemon_id,
                        const SweepLimits& limits = {});

}  // namespace apm::agent
