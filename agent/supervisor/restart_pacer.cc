// A loop, once seen, lasts until a process has been ready for Backoff::reset:
// were it judged by the window alone, its own slow retries would empty the
// window and the fast restarts would begin anew every five minutes.

#include "agent/supervisor/restart_pacer.h"

#include <algorithm>
#include <cstdint>

#include <absl/time/time.h>

namespace apm::supervisor {

RestartPacer::Next RestartPacer::OnEnd(absl::Duration now,
                                       absl::Duration ready_for,
                                       double chance) {
  if (ready_for >= backoff_.reset) {
    in_a_row_ = 0;
    if (looping_) Reset();
  }
  ends_.push_back(now);
  while (ends_.size() > crash_loop_.failures ||
         now - ends_.front() > crash_loop_.window) {
    ends_.pop_front();
    if (ends_.empty()) break;  // failures 0: never a loop.
  }
  if (!ends_.empty() && ends_.size() >= crash_loop_.failures) looping_ = true;
  if (looping_) return {Pace::kCrashloop, crash_loop_.retry};

  const uint32_t nth = in_a_row_++;
  if (nth == 0) return {Pace::kNow, absl::ZeroDuration()};
  absl::Duration wait = backoff_.initial;
  for (uint32_t i = 1; i < nth && wait < backoff_.max; ++i) {
    wait *= backoff_.factor;
  }
  wait = std::min(wait, backoff_.max);
  return {Pace::kBackoff, wait * (1 - backoff_.jitter * chance)};
}

void RestartPacer::Reset() {
  in_a_row_ = 0;
  ends_.clear();
  looping_ = false;
}

PacerMemo RestartPacer::Memo(absl::Duration now, absl::Time wall) const {
  PacerMemo memo{.in_a_row = in_a_row_, .looping = looping_, .ends = {}};
  for (const absl::Duration end : ends_)
    memo.ends.push_back(wall - (now - end));
  return memo;
}

void RestartPacer::Restore(const PacerMemo& memo, absl::Duration now,
                           absl::Time wall) {
  in_a_row_ = memo.in_a_row;
  looping_ = memo.looping;
  ends_.clear();
  for (const absl::Time end : memo.ends) {
    ends_.push_back(now - std::max(wall - end, absl::ZeroDuration()));
  }
}

}  // namespace apm::supervisor
