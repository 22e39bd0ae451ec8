// How many lines a worker may log in a time. Pure: the caller tells the time.
//
//   RateLimiter limiter({.lines = 10'000, .per = absl::Seconds(30)});
//   if (!limiter.Admit(now)) ...          // Dropped, and counted here.
//   limiter.TakeDropped(later);           // Once that window is over.
//
// A window opens with a line and lets so many through until it ends: a burst
// passes whole, and what is dropped is a run of lines that one notice can
// speak for.

#pragma once

#include <cstdint>
#include <utility>

#include <absl/time/time.h>

namespace apm::logs {

struct RateLimit {
  uint64_t lines = 0;  // 0: no limit.
  absl::Duration per = absl::ZeroDuration();

  bool operator==(const RateLimit&) const = default;
};

class RateLimiter {
 public:
  explicit RateLimiter(RateLimit limit = {}) : limit_(limit) {}

  const RateLimit& limit() const { return limit_; }

  // False if the line is too many; it is counted as dropped. `now` is
  // Clock::Monotonic. What was dropped before should be taken first.
  bool Admit(absl::Duration now) {
    if (limit_.lines == 0) return true;
    if (now >= window_end_) {
      window_end_ = now + limit_.per;
      admitted_ = 0;
    }
    if (admitted_ < limit_.lines) {
      ++admitted_;
      return true;
    }
    ++dropped_;
    return false;
  }

  // How many were dropped in a window that is over; 0 while it lasts.
  uint64_t TakeDropped(absl::Duration now) {
    return now >= window_end_ ? std::exchange(dropped_, 0) : 0;
  }

  bool has_dropped() const { return dropped_ > 0; }
  absl::Duration window_end() const { return window_end_; }

 private:
  RateLimit limit_;
  absl::Duration window_end_ = -absl::InfiniteDuration();
  uint64_t admitted_ = 0;  // In this window.
  uint64_t dropped_ = 0;   // Not yet taken.
};

}  // namespace apm::logs
