// Hands bytes to another process as a descriptor whose content can no longer
// change (memfd_create(2), F_ADD_SEALS in fcntl(2)).

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm {

// A memfd with `bytes`, sealed against writing and resizing. `name` shows in
// /proc/<pid>/fd.
absl::StatusOr<UniqueFd> CreateSealedMemfd(const char* name,
                                           std::string_view bytes);

// All bytes of a sealed memfd. kFailedPrecondition if it is not sealed
// against shrinking and writing, kResourceExhausted over `max_bytes`.
absl::StatusOr<std::string> ReadSealedMemfd(int fd, size_t max_bytes);

}  // namespace apm
