// Time as a hand that the test turns.
//
//   FakeTimers timers;
//   timers.RunAfter(absl::Seconds(5), [&] { ... });
//   timers.AdvanceBy(absl::Seconds(5));  // Runs it, at its time.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include <absl/time/time.h>

#include "base/os/clock.h"
#include "base/os/timers.h"

namespace apm::testing {

class FakeTimers final : public Timers {
 public:
  absl::Duration Now() const override { return now_; }

  TimerId RunAfter(absl::Duration delay,
                   std::function<void()> callback) override {
    const TimerId id = next_id_++;
    const absl::Duration due = now_ + std::max(delay, absl::ZeroDuration());
    timers_.emplace(std::pair(due, id), std::move(callback));
    return id;
  }

  void Cancel(TimerId id) override {
    for (auto timer = timers_.begin(); timer != timers_.end(); ++timer) {
      if (timer->first.second != id) continue;
      timers_.erase(timer);
      return;
    }
  }

  // Runs what is due on the way, in order of time, then of RunAfter calls;
  // also what those callbacks set, if it is due by then.
  void AdvanceBy(absl::Duration duration) {
    const absl::Duration until = now_ + duration;
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto node = timers_.extract(timers_.begin());
      now_ = std::max(now_, node.key().first);
      node.mapped()();
    }
    now_ = until;
  }

  // Turns the hand to the next timer and runs it; false if there is none.
  bool AdvanceToNext() {
    if (timers_.empty()) return false;
    AdvanceBy(timers_.begin()->first.first - now_);
    return true;
  }

  size_t pending() const { return timers_.size(); }

 private:
  absl::Duration now_ = absl::Hours(1);  // Not zero: a host is never so young.
  TimerId next_id_ = 1;
  std::map<std::pair<absl::Duration, TimerId>, std::function<void()>> timers_;
};

// A wall clock that goes with FakeTimers.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(const FakeTimers& timers) : timers_(timers) {}
  absl::Time Now() const override { return kStart + timers_.Now(); }
  absl::Duration Monotonic() const override { return timers_.Now(); }

 private:
  static inline const absl::Time kStart = absl::FromUnixSeconds(1'790'000'000);
  const FakeTimers& timers_;
};

}  // namespace apm::testing
