// Whether there is room for another descriptor that stays.
//
// The kernel gives the lowest free number: that of a new descriptor tells how
// many we have. The last ones are left for what comes and goes: a message
// whose descriptors do not fit is cut, and costs the agent its channel.

#pragma once

#include <sys/resource.h>

#include "base/os/channel.h"

namespace apm::keeper {

// The largest message, a spawn of its descriptors, and a little more.
inline constexpr rlim_t kSpareFds = kMaxMessageFds + 70;

inline rlim_t LastingFds() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur > kSpareFds ? files.rlim_cur - kSpareFds : 0;
}

inline bool LeavesRoom(int fd) {
  return static_cast<rlim_t>(fd) < LastingFds();
}

// For one that is stored: a process needs one of its own beside the four that
// are stored for it.
inline bool LeavesRoomForProcesses(int fd) {
  return static_cast<rlim_t>(fd) < LastingFds() / 5 * 4;
}

}  // namespace apm::keeper
