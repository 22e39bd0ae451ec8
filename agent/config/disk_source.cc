#include "agent/config/disk_source.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/config/paths.h"
#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::config {
namespace {

// `path` without symlinks, so that its parents are the folders that count.
absl::StatusOr<std::string> RealPath(const std::string& path) {
  char buffer[PATH_MAX];
  if (realpath(path.c_str(), buffer) == nullptr) {
    return absl::Status(absl::ErrnoToStatusCode(errno), ErrnoText(errno));
  }
  return std::string(buffer);
}

absl::Status CheckFoldersAbove(const std::string& path, uid_t user) {
  for (std::string folder = FolderOf(path);; folder = FolderOf(folder)) {
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0) {
      return ErrnoStatus(errno, absl::StrFormat("look at '%s'", folder));
    }
    APM_RETURN_IF_ERROR(
        CheckPathOwner(folder, {status.st_uid, status.st_mode}, user));
    if (folder == "/") return absl::OkStatus();
  }
}

absl::StatusOr<std::string> ReadAll(int fd) {
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      return absl::Status(absl::ErrnoToStatusCode(errno), ErrnoText(errno));
    }
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxFileBytes) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "the file has more than %d bytes; split it and use include",
          kMaxFileBytes));
    }
  }
}

}  // namespace

absl::Status CheckPathOwner(const std::string& path, const PathOwner& owner,
                            uid_t user) {
  if (owner.uid != 0 && owner.uid != user) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "'%s' belongs to uid %d, who could change the configuration; type: "
        "chown %d '%s'",
        path, owner.uid, user, path));
  }
  const bool sticky_folder = S_ISDIR(owner.mode) && (owner.mode & S_ISVTX) != 0;
  if ((owner.mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky_folder) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "'%s' can be written by others (mode %04o); type: chmod go-w '%s'",
        path, owner.mode & 07777, path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DiskSource::Read(const std::string& path) {
  APM_ASSIGN_OR_RETURN(const std::string real, RealPath(path));
  // The first keeps a symlink from being turned elsewhere, the second what it
  // leads to from being replaced.
  APM_RETURN_IF_ERROR(CheckFoldersAbove(path, user_));
  APM_RETURN_IF_ERROR(CheckFoldersAbove(real, user_));

  // Opened after its folders were found safe, so that nobody can swap it now;
  // without blocking, as it may be a FIFO.
  const UniqueFd fd(
      open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd)
    return absl::Status(absl::ErrnoToStatusCode(errno), ErrnoText(errno));
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) {
    return ErrnoStatus(errno, absl::StrFormat("look at '%s'", real));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError("it is not a regular file");
  }
  APM_RETURN_IF_ERROR(
      CheckPathOwner(real, {status.st_uid, status.st_mode}, user_));
  return ReadAll(fd.get());
}

absl::StatusOr<std::vector<std::string>> DiskSource::Glob(
    const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) {
    return std::vector<std::string>{pattern};
  }
  glob_t found{};
  const int result = glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
  std::vector<std::string> files;
  for (size_t i = 0; result == 0 && i < found.gl_pathc; ++i) {
    files.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  if (result != 0 && result != GLOB_NOMATCH) {
    return absl::UnavailableError(
        absl::StrFormat("cannot look for '%s'", pattern));
  }
  return files;
}

}  // namespace apm::config
