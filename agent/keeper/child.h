// Starts a process: vfork, descriptors, exec.

#pragma once

#include <sys/types.h>

#include <span>
#include <string>

namespace apm::keeper {

struct Child {
  pid_t pid = -1;
  int error = 0;  // errno of the step that failed, when there is no pid.
};

// Executes `path` with `argv`, our environment, our stdio, and `fds` as
// descriptors 3, 4, ...; no other descriptor, no blocked signal. Returns when
// the program has been executed.
//
// `own_session`: out of reach of the terminal's Ctrl-C, which is the keeper's
// to answer.
Child StartChild(const std::string& path, std::span<const std::string> argv,
                 std::span<const int> fds, bool own_session);

}  // namespace apm::keeper
