// Ends what a worker left behind, wherever it went: a process that was forked
// twice, that started a session of its own, that ignores SIGTERM. All of them
// carry APM_PROCESS of the process they come from (worker_environment.h).
//
//   SweepReport report = SweepProcesses({{"4f0c5d2e8a917b36/web/0/7"}});
//
// It looks at /proc/<pid>/environ of every process that may be read. One that
// wiped its own environment is not found: without cgroups nothing tells it
// from a stranger.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/supervisor/ports.h"

namespace apm::agent {

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

// SIGKILL to every process that carries one of `tags`, whole; again, until a
// look at all processes finds none. The tags of many workers cost no more than
// one. Never kills the caller or pid 1.
//
// Thread: any; blocks, up to limits.time, so not the main loop's.
SweepReport SweepProcesses(std::span<const std::string> tags,
                           const SweepLimits& limits = {});

// The same for everything of the daemon with that id. It has to be a whole
// one (16 hex digits): with anything else nothing is done.
SweepReport SweepDaemon(std::string_view daemon_id,
                        const SweepLimits& limits = {});

}  // namespace apm::agent
