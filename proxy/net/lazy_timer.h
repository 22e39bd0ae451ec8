// A deadline that moves often and passes rarely. Moving it later costs one
// store: the timer that is armed wakes up too early, sees the new deadline,
// and arms itself again.

#pragma once

#include <functional>
#include <utility>

#include <absl/time/time.h>

#include "base/os/timers.h"

namespace apm::net {

// Thread: the timers'.
class LazyTimer {
 public:
  // `timers` outlives this. `on_due` may destroy it.
  LazyTimer(Timers& timers, std::function<void()> on_due)
      : timers_(timers), on_due_(std::move(on_due)) {}
  LazyTimer(const LazyTimer&) = delete;
  LazyTimer& operator=(const LazyTimer&) = delete;
  ~LazyTimer() { timers_.Cancel(timer_); }

  // Calls `on_due` once it is `due` (Timers::Now); InfiniteDuration: never.
  void Set(absl::Duration due) {
    due_ = due;
    if (due_ >= armed_for_) return;
    timers_.Cancel(timer_);
    Arm();
  }

 private:
  void Arm() {
    armed_for_ = due_;
    timer_ = timers_.RunAfter(due_ - timers_.Now(), [this] { Fire(); });
  }

  void Fire() {
    timer_ = kNoTimer;
    armed_for_ = absl::InfiniteDuration();
    if (due_ <= timers_.Now()) {
      due_ = absl::InfiniteDuration();
      on_due_();
    } else if (due_ != absl::InfiniteDuration()) {
      Arm();
    }
  }

  Timers& timers_;
  const std::function<void()> on_due_;
  absl::Duration due_ = absl::InfiniteDuration();
  absl::Duration armed_for_ = absl::InfiniteDuration();
  TimerId timer_ = kNoTimer;
};

}  // namespace apm::net
