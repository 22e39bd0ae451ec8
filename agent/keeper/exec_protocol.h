// What apm-keeper and apm-exec agree on: the descriptors of a new apm-exec.

#pragma once

#include <cstddef>

namespace apm::keeper {

inline constexpr int kFirstExecFd = 3;
inline constexpr int kSpecFd = 3;     // Sealed memfd: an ExecSpec.
inline constexpr int kFailureFd = 4;  // Pipe: a SpawnFailed, or nothing.
inline constexpr int kStdioFd = 5;    // And 6 and 7: to become 0, 1 and 2.
inline constexpr int kExecFds = 5;

// Of a SpawnFailed in the pipe: small enough to be written at once (PIPE_BUF).
inline constexpr size_t kMaxFailureBytes = 4096;
inline constexpr size_t kMaxDetailBytes = 3072;

}  // namespace apm::keeper
