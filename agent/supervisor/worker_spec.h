// What supervision has to know about a worker. The program, its arguments and
// its environment are not here: whoever implements Processes has them.

#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <absl/time/time.h>

namespace apm::supervisor {

enum class RestartPolicy : uint8_t { kAlways, kOnFailure, kNever };

// The first restart is immediate, the next waits `initial`, each further one
// `factor` times longer up to `max`. Jitter only shortens a wait, by up to
// that share of it: many workers that died together do not return together,
// and no wait exceeds `max`.
struct Backoff {
  absl::Duration initial = absl::Milliseconds(100);
  double factor = 2;
  absl::Duration max = absl::Seconds(30);
  double jitter = 0.2;
  absl::Duration reset = absl::Seconds(30);  // Ready this long: from the start.
};

// `failures` within `window` make a crash loop: from then on one attempt each
// `retry`, until one is ready for Backoff::reset or a person says start. With
// `failures` 0 there are no crash loops.
struct CrashLoop {
  size_t failures = 10;
  absl::Duration window = absl::Minutes(5);
  absl::Duration retry = absl::Seconds(60);
};

struct WorkerSpec {
  std::string name;
  uint32_t instances = 1;

  // Speaks the pipe protocol: Traffic is told of it, and its first frame makes
  // it ready.
  bool pipe_mode = false;

  RestartPolicy restart = RestartPolicy::kAlways;
  std::vector<int> success_codes = {0};
  Backoff backoff;
  CrashLoop crash_loop;

  // Alive for so long after the spawn is ready (`ready spawn`).
  absl::Duration ready_after = absl::Seconds(1);
  absl::Duration start_timeout = absl::Seconds(60);

  // A stop: at most `drain_timeout` for sessions to end (pipe mode), then
  // `stop_signal`, then after `stop_timeout` SIGKILL.
  absl::Duration drain_timeout = absl::Seconds(10);
  int stop_signal = SIGTERM;
  absl::Duration stop_timeout = absl::Seconds(10);
};

}  // namespace apm::supervisor
