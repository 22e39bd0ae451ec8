#include "agent/logs/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/logs/log_policy.h"
#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::logs {
namespace {

// A rotation that failed half-way leaves one name unused.
constexpr int kMaxMissing = 2;

}  // namespace

std::string RotatedName(const std::string& path, int number) {
  return number == 0 ? path : absl::StrCat(path, ".", number);
}

absl::StatusOr<LogFilePtr> OpenLogFile(const std::string& path) {
  const std::string action = absl::StrFormat("read the log '%s'", path);
  UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) return ErrnoStatus(errno, action);
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(action + ": not a regular file");
  }
  return std::make_shared<const LogFile>(
      LogFile{std::move(fd), status.st_ino, 0});
}

absl::StatusOr<LogFilePtr> LogFileWalk::Older() {
  while (number_ <= kMaxKeptFiles + 1 && missing_ < kMaxMissing) {
    absl::StatusOr<LogFilePtr> file =
        OpenLogFile(RotatedName(path_, number_++));
    if (absl::IsNotFound(file.status())) {
      ++missing_;
      continue;
    }
    missing_ = 0;
    if (!file.ok() || inodes_.insert((*file)->inode).second) return file;
  }
  return LogFilePtr();
}

}  // namespace apm::logs
