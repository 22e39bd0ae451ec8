// Both ends of a new pipe.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <absl/status/statusor.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// Close-on-exec.
inline absl::StatusOr<Pipe> CreatePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "create a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace apm::agent
