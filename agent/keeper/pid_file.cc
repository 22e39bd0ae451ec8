#include "agent/keeper/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {
namespace {

// The beginning of a small file; empty if it cannot be read.
std::string ReadStart(const std::string& path) {
  // O_NONBLOCK: somebody may have put a FIFO there.
  const UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  char buffer[64];
  const ssize_t size = fd ? read(fd.get(), buffer, sizeof buffer) : 0;
  return size <= 0 ? "" : std::string(buffer, static_cast<size_t>(size));
}

pid_t ReadPid(const std::string& path) {
  const std::string text = ReadStart(path);
  pid_t pid = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, pid);
  const bool whole = rest == end || *rest == '\n';
  return error == std::errc() && whole && pid > 0 ? pid : 0;
}

}  // namespace

pid_t RunningKeeper(const std::string& path) {
  const pid_t pid = ReadPid(path);
  if (pid == 0 || pid == getpid()) return 0;
  // The name, since /proc/<pid>/exe of another user's process is not readable.
  const std::string name = ReadStart("/proc/" + std::to_string(pid) + "/comm");
  return name == "apm-keeper\n" ? pid : 0;
}

absl::Status WritePidFile(const std::string& path) {
  const std::string text = std::to_string(getpid()) + "\n";
  const std::string temporary = path + "." + std::to_string(getpid());
  unlink(temporary.c_str());  // Of a keeper of this pid, in an earlier boot.
  UniqueFd fd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return ErrnoStatus(errno, "create '" + temporary + "'");
  if (fchmod(fd.get(), 0644) != 0 ||  // Whatever the umask.
      write(fd.get(), text.data(), text.size()) !=
          static_cast<ssize_t>(text.size()) ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return ErrnoStatus(error, "write '" + path + "'");
  }
  return absl::OkStatus();
}

void RemovePidFile(const std::string& path) {
  if (ReadPid(path) == getpid()) unlink(path.c_str());
}

}  // namespace apm::keeper
