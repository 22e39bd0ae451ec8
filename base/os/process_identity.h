// What tells one process from a later one with the same pid.

#pragma once

#include <sys/types.h>

#include <cstdint>

#include <absl/status/statusor.h>

namespace apm {

// Start time of `pid` in clock ticks since boot (proc(5), /proc/<pid>/stat,
// field 22). kNotFound if there is no such process.
absl::StatusOr<uint64_t> ProcessStartTicks(pid_t pid);

}  // namespace apm
