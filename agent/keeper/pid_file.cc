#include "agent/keeper/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {
namespace {

UniqueFd Open(const std::string& path) {
  // O_NONBLOCK: somebody may have put a FIFO there.
  return UniqueFd(
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

pid_t ReadPid(const UniqueFd& fd) {
  char text[64];
  const ssize_t size = fd ? read(fd.get(), text, sizeof text) : 0;
  if (size <= 0) return 0;
  const char* end = text + size;
  pid_t pid = 0;
  const auto [rest, error] = std::from_chars(text, end, pid);
  const bool whole = rest == end || *rest == '\n';
  return error == std::errc() && whole && pid > 0 ? pid : 0;
}

// Where the file system has no locks there is none: then a second keeper is
// refused by the control socket of the first.
void Lock(int fd) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  fcntl(fd, F_SETLK, &whole);
}

}  // namespace

pid_t PidFile::Read(const std::string& path) {
  const UniqueFd fd = Open(path);
  return ReadPid(fd);
}

pid_t PidFile::Holder(const std::string& path) {
  const UniqueFd fd = Open(path);
  const pid_t pid = ReadPid(fd);
  struct flock holder {};
  holder.l_type = F_WRLCK;
  holder.l_whence = SEEK_SET;
  if (pid == 0 || fcntl(fd.get(), F_GETLK, &holder) != 0) return 0;
  // Anybody who may read the file can lock it: only the one it names counts.
  return holder.l_type != F_UNLCK && holder.l_pid == pid ? pid : 0;
}

absl::StatusOr<PidFile> PidFile::Write(const std::string& path) {
  const std::string text = std::to_string(getpid()) + "\n";
  const std::string temporary = path + "." + std::to_string(getpid());
  unlink(temporary.c_str());  // Of a keeper of this pid, in an earlier boot.
  UniqueFd fd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return ErrnoStatus(errno, "create '" + temporary + "'");
  Lock(fd.get());                     // While nobody else can.
  if (fchmod(fd.get(), 0644) != 0 ||  // Whatever the umask.
      write(fd.get(), text.data(), text.size()) !=
          static_cast<ssize_t>(text.size()) ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return ErrnoStatus(error, "write '" + path + "'");
  }
  return PidFile(path, std::move(fd));
}

PidFile::PidFile(std::string path, UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)) {}

void PidFile::Remove() {
  if (!path_.empty() && Read(path_) == getpid()) unlink(path_.c_str());
}

}  // namespace apm::keeper
