// The PID file: one decimal number and a newline. For people and scripts; what
// really excludes a second agent is its control socket.
//
// The keeper holds a record lock on its file (F_SETLK in fcntl(2)). The kernel
// gives it to this process alone, keeps it over execve() and drops it at the
// end, whatever the end: so a number that was left behind is told from a
// keeper that runs, even if some other keeper has that pid now.

#pragma once

#include <sys/types.h>

#include <string>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm::keeper {

class PidFile {
 public:
  // The pid in the file at `path`; 0 if there is none.
  static pid_t Read(const std::string& path);

  // The keeper that the file at `path` names, if it runs; else 0.
  static pid_t Holder(const std::string& path);

  // Writes our pid, atomically, mode 0644, replacing what is there.
  static absl::StatusOr<PidFile> Write(const std::string& path);

  // None: for a keeper that could not write one.
  PidFile() = default;

  // One that was written before execve(), `fd` being its descriptor.
  PidFile(std::string path, UniqueFd fd);

  // Removes the file if it still holds our pid.
  void Remove();

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;  // Open for the lock's sake.
};

}  // namespace apm::keeper
