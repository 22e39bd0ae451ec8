#include "ctl/output_watch.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace apm::ctl {

OutputWait WaitForOutput(int other, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    // No event is asked for on stdout: errors and hang-ups come regardless.
    pollfd waits[] = {{.fd = STDOUT_FILENO, .events = 0, .revents = 0},
                      {.fd = other, .events = POLLIN, .revents = 0}};
    timespec left{};
    if (patience != absl::InfiniteDuration()) {
      left = absl::ToTimespec(
          std::max(deadline - absl::Now(), absl::ZeroDuration()));
    }
    const int ready =
        ppoll(waits, std::size(waits),
              patience == absl::InfiniteDuration() ? nullptr : &left, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return OutputWait::kTimeout;
    // What has arrived goes first: it may be the answer that ends it all.
    if (waits[1].revents != 0) return OutputWait::kReadable;
    return OutputWait::kReaderGone;
  }
}

}  // namespace apm::ctl
