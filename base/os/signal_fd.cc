#include "base/os/signal_fd.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <initializer_list>
#include <vector>

#include <absl/status/statusor.h>

#include "base/os/errno_status.h"

namespace apm {

absl::StatusOr<UniqueFd> CreateSignalFd(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  // Of the calling thread, the only one at that time: sigprocmask would do,
  // but is undefined in a threaded program.
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return ErrnoStatus(error, "block signals");
  }
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoStatus(errno, "create a signalfd");
  return fd;
}

std::vector<int> TakeSignals(int signal_fd) {
  std::vector<int> taken;
  signalfd_siginfo info{};
  while (read(signal_fd, &info, sizeof info) == sizeof info) {
    taken.push_back(static_cast<int>(info.ssi_signo));
  }
  return taken;
}

}  // namespace apm
