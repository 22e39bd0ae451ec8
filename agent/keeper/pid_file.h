// The PID file: one decimal number and a newline. For people and scripts; what
// really excludes a second agent is its control socket.

#pragma once

#include <sys/types.h>

#include <string>

#include <absl/status/status.h>

namespace apm::keeper {

// The apm-keeper that runs under the pid that `path` holds; 0 if there is no
// such file or what it names has ended or is some other program.
pid_t RunningKeeper(const std::string& path);

// Writes our pid, atomically, mode 0644, replacing what is there.
absl::Status WritePidFile(const std::string& path);

// Removes the file if it holds our pid.
void RemovePidFile(const std::string& path);

}  // namespace apm::keeper
