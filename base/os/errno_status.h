// Turns errno into absl::Status.

#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace apm {

// "<action>: <strerror>" with the canonical code for `error`:
// ErrnoStatus(ENOENT, "open '/x'") is NOT_FOUND: open '/x': No such file or
// directory.
absl::Status ErrnoStatus(int error, std::string_view action);

// strerror() for any thread: "No such file or directory".
std::string ErrnoText(int error);

}  // namespace apm
