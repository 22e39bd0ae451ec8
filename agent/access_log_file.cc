#include "agent/access_log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"

namespace apm::agent {

std::string AccessLogName(std::string_view worker) {
  return std::string(worker) + ".access.log";
}

absl::StatusOr<UniqueFd> OpenAccessLog(const std::string& path) {
  // Non-blocking: a pipe in its place must not stop the agent.
  UniqueFd file(
      open(path.c_str(),
           O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
           0640));
  if (!file) {
    return ErrnoStatus(errno, absl::StrFormat("open access log '%s'", path));
  }
  struct stat found {};
  if (fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("access log '%s' is not a file: remove it", path));
  }
  return file;
}

}  // namespace apm::agent
