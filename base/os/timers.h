// One-shot timers, as an interface: EventLoop implements it with epoll,
// tests/testing/fake_timers.h with a hand that the test turns.

#pragma once

#include <cstdint>
#include <functional>

#include <absl/time/time.h>

namespace apm {

// Names a pending timer. Zero is never given out: "no timer".
using TimerId = uint64_t;
inline constexpr TimerId kNoTimer = 0;

class Timers {
 public:
  virtual ~Timers() = default;

  // Monotonic time (Clock::Monotonic); in an EventLoop, of the current turn.
  virtual absl::Duration Now() const = 0;

  // Runs `callback` once, `delay` from now, never from inside this call. A
  // zero or negative delay runs in the next turn.
  virtual TimerId RunAfter(absl::Duration delay,
                           std::function<void()> callback) = 0;

  // Forgets the timer. Harmless for kNoTimer and for one that has fired.
  virtual void Cancel(TimerId id) = 0;
};

}  // namespace apm
