#include "base/os/process_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm {

absl::StatusOr<uint64_t> ProcessStartTicks(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, path);
  char buffer[1024];
  const ssize_t size = read(fd.get(), buffer, sizeof buffer);
  if (size <= 0) return ErrnoStatus(size < 0 ? errno : ESRCH, path);

  // Field 2, the command, may contain spaces and parentheses; count from the
  // last one. What follows it is field 3.
  std::string_view rest(buffer, static_cast<size_t>(size));
  rest.remove_prefix(rest.rfind(')') + 1);
  for (int field = 3; field <= 22; ++field) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) {
      return absl::DataLossError("unexpected format of /proc/<pid>/stat");
    }
    rest.remove_prefix(space + 1);
  }
  uint64_t ticks = 0;
  for (const char digit : rest) {
    if (digit < '0' || digit > '9') break;
    ticks = ticks * 10 + static_cast<uint64_t>(digit - '0');
  }
  return ticks;
}

}  // namespace apm
