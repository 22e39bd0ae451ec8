// How long to wait before a program that ended is started again: not at all
// the first time, then 100 ms, doubled up to 5 s. A program that lived for 10 s
// has proved itself and begins anew.

#pragma once

#include <algorithm>

#include <absl/time/time.h>

namespace apm::keeper {

class RestartBackoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  static constexpr absl::Duration kLongest = absl::Seconds(5);
  static constexpr absl::Duration kProved = absl::Seconds(10);

  // The wait after an end; `alive` is how long the program had run.
  absl::Duration Next(absl::Duration alive) {
    if (alive >= kProved) next_ = absl::ZeroDuration();
    const absl::Duration wait = next_;
    next_ = std::clamp(2 * wait, kFirst, kLongest);
    return wait;
  }

 private:
  absl::Duration next_;
};

}  // namespace apm::keeper
