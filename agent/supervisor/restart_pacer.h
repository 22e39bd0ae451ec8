// Decides how long to wait before a process that ended is started again.
//
// The n-th restart in a row waits (n = 0 being the first)
//
//   0                                                     n = 0
//   min(max, initial * factor^(n-1)) * (1 - jitter * u)   n > 0, u in [0, 1)
//
// and after too many ends within the window, CrashLoop::retry. Pure: the
// caller brings the time and the chance.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include <absl/time/time.h>

#include "agent/supervisor/memo.h"
#include "agent/supervisor/worker_spec.h"

namespace apm::supervisor {

class RestartPacer {
 public:
  enum class Pace : uint8_t { kNow, kBackoff, kCrashloop };
  struct Next {
    Pace pace;
    absl::Duration wait;
  };

  // The references outlive the pacer.
  RestartPacer(const Backoff& backoff, const CrashLoop& crash_loop)
      : backoff_(backoff), crash_loop_(crash_loop) {}

  // A process that is to run ended at `now` after being ready for `ready_for`
  // (zero if it never was). `chance` is uniform in [0, 1).
  Next OnEnd(absl::Duration now, absl::Duration ready_for, double chance);

  // Forgets everything: a person said start.
  void Reset();

  // For a successor, which has another monotonic clock: `wall` is the time of
  // day at `now`. Ends in its future (a clock was set back) count as just now.
  PacerMemo Memo(absl::Duration now, absl::Time wall) const;
  void Restore(const PacerMemo& memo, absl::Duration now, absl::Time wall);

 private:
  const Backoff& backoff_;
  const CrashLoop& crash_loop_;
  uint32_t in_a_row_ = 0;
  std::deque<absl::Duration> ends_;  // Within the window, oldest first.
  bool looping_ = false;
};

}  // namespace apm::supervisor
