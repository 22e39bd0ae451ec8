#include "agent/store/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::store {
namespace {

constexpr mode_t kMode = 0600;

// A new name, or the lack of an old one, is durable only once its folder is.
absl::Status SyncFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, slash == 0 ? 1 : slash);
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrFormat("sync the folder '%s'", folder));
  }
  return absl::OkStatus();
}

absl::Status CheckOpened(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return ErrnoStatus(errno, "look at the file");
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        "it is not a plain file; move it away, or give the agent another "
        "state_dir");
  }
  if (status.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "it belongs to uid %d and the agent runs as uid %d; run the agent as "
        "that user, or move the file away",
        status.st_uid, geteuid()));
  }
  // On a read-only disk this fails, and reading is still possible.
  if ((status.st_mode & 07777) != kMode && fchmod(fd, kMode) != 0 &&
      errno != EROFS) {
    return ErrnoStatus(errno, "set its permissions");
  }
  return absl::OkStatus();
}

// The pid in a line of /proc/locks (proc(5)) if it is about one of `inodes`:
//   1: POSIX  ADVISORY  WRITE 4711 fd:01:131074 120 120
std::optional<pid_t> HolderIn(const std::string& line,
                              const std::vector<std::string>& inodes) {
  const std::vector<std::string> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  int pid = 0;
  // A waiting lock has "->" after its number, and holds nothing.
  if (words.size() < 6 || words[1] == "->") return std::nullopt;
  if (!absl::SimpleAtoi(words[4], &pid) || pid <= 0 || pid == getpid()) {
    return std::nullopt;
  }
  for (const std::string& inode : inodes) {
    if (words[5] == inode) return pid;
  }
  return std::nullopt;
}

std::string DescribeProcess(pid_t pid) {
  std::ifstream file(absl::StrFormat("/proc/%d/comm", pid));
  std::string name;
  std::getline(file, name);
  return name.empty() ? absl::StrFormat("process %d", pid)
                      : absl::StrFormat("process %d (%s)", pid, name);
}

}  // namespace

absl::Status PrepareStateFile(const std::string& path) {
  constexpr int kFlags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  const UniqueFd made(
      open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, kMode));
  if (made) return SyncFolder(path);
  // Where a file may not be made there may be one all the same.
  const int not_made = errno;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | kFlags));
  if (fd) return CheckOpened(fd.get());
  if (errno == ELOOP) {
    return absl::FailedPreconditionError(
        "it is a symlink, which is not followed; put the file there, or give "
        "the agent another state_dir");
  }
  return errno == ENOENT ? ErrnoStatus(not_made, "make the file")
                         : ErrnoStatus(errno, "open the file");
}

bool IsStateFileEmpty(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return errno == ENOENT;
  return status.st_size == 0;
}

absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now) {
  const std::string aside =
      absl::StrCat(path, ".corrupt-", absl::ToUnixSeconds(now));
  // The log first: it is of no use to the file that takes this one's place.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const std::string from = path + suffix;
    if (rename(from.c_str(), (aside + suffix).c_str()) != 0 &&
        errno != ENOENT) {
      return ErrnoStatus(errno, absl::StrFormat("move '%s' aside", from));
    }
  }
  if (absl::Status synced = SyncFolder(path); !synced.ok()) return synced;
  return aside;
}

std::string DescribeHolder(const std::string& path) {
  // Not fcntl(F_GETLK): to close the descriptor that it takes would end the
  // locks of this process's own connection.
  std::vector<std::string> inodes;
  for (const char* suffix : {"", "-shm"}) {
    struct stat status {};
    if (stat((path + suffix).c_str(), &status) != 0) continue;
    inodes.push_back(absl::StrFormat("%02x:%02x:%d", major(status.st_dev),
                                     minor(status.st_dev), status.st_ino));
  }
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    if (const std::optional<pid_t> pid = HolderIn(line, inodes)) {
      return DescribeProcess(*pid);
    }
  }
  return "another process";
}

}  // namespace apm::store
