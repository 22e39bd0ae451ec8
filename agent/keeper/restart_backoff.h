// How long to wait before a program that ended is started again: not at all if
// it was healthy, else 100 ms, doubled each time up to 10 s, until one has
// stayed up.

#pragma once

#include <algorithm>

#include <absl/time/time.h>

namespace apm::keeper {

class RestartBackoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(100);
  static constexpr absl::Duration kLongest = absl::Seconds(10);
  // A program that has been up for so long did not die of its start. Well
  // below a second: one that is killed once a second never waits.
  static constexpr absl::Duration kHealthy = absl::Milliseconds(500);

  RestartBackoff() = default;
  explicit RestartBackoff(absl::Duration last) : last_(last) {}

  // The wait after an end; `alive` is how long the program had run.
  absl::Duration Next(absl::Duration alive) {
    last_ = alive >= kHealthy ? absl::ZeroDuration()
                              : std::clamp(2 * last_, kFirst, kLongest);
    return last_;
  }

  // What Next() returned: all that a successor has to know.
  absl::Duration last() const { return last_; }

 private:
  absl::Duration last_;
};

}  // namespace apm::keeper
