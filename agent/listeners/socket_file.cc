#include "agent/listeners/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/config/listen_address.h"
#include "agent/listeners/port_holder.h"
#include "agent/listeners/socket_file_steps.h"
#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::listeners {
namespace {

std::string_view FileTypeName(mode_t mode) {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  return "a device";
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::StatusOr<SocketFileOrder> MakeOrder(SocketFileTask task,
                                          const std::string& path,
                                          std::optional<Owner> owner) {
  if (!path.starts_with('/') || path.size() > config::kMaxUnixPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not an absolute path of up to %d bytes", path,
                        config::kMaxUnixPathBytes));
  }
  SocketFileOrder order;
  order.task = task;
  order.address.sun_family = AF_UNIX;
  memcpy(order.address.sun_path, path.data(), path.size());
  const std::string folder = FolderOf(path);
  memcpy(order.folder, folder.data(), folder.size());
  if (owner && (owner->uid != geteuid() || owner->gid != getegid())) {
    order.change_user = true;
    order.uid = owner->uid;
    order.gid = owner->gid;
  }
  return order;
}

// Reads the child's answer; nothing if it does not come in time.
std::optional<SocketFileResult> AwaitResult(int pipe) {
  const absl::Time deadline = absl::Now() + kSocketFileTimeout;
  for (;;) {
    const absl::Duration left =
        std::max(deadline - absl::Now(), absl::ZeroDuration());
    pollfd readable{pipe, POLLIN, 0};
    const int ready =
        poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(left)));
    if (ready < 0 && errno == EINTR) continue;
    SocketFileResult result;
    if (ready <= 0 || read(pipe, &result, sizeof result) !=
                          static_cast<ssize_t>(sizeof result)) {
      return std::nullopt;
    }
    return result;
  }
}

// Forks the child and returns what it did.
absl::StatusOr<SocketFileResult> RunInChild(const SocketFileOrder& order) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "create a pipe");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  // _Fork and not fork: handlers of pthread_atfork take locks.
  const pid_t child = _Fork();
  if (child < 0) return ErrnoStatus(errno, "fork");
  if (child == 0) {
    const SocketFileResult result = RunSocketFileSteps(order);
    // Less than PIPE_BUF: written whole or not at all.
    const ssize_t written = write(ends[1], &result, sizeof result);
    _exit(written == static_cast<ssize_t>(sizeof result) ? 0 : 1);
  }
  writer.Reset();
  const std::optional<SocketFileResult> result = AwaitResult(reader.get());
  if (result) {
    waitpid(child, nullptr, 0);
    return *result;
  }
  // It may be stuck in the kernel where no signal reaches it: do not wait.
  kill(child, SIGKILL);
  waitpid(child, nullptr, WNOHANG);
  return absl::DeadlineExceededError(
      absl::StrFormat("the file system of '%s' does not answer", order.folder));
}

std::string UserText(std::optional<Owner> owner) {
  return absl::StrFormat("uid %d", owner ? owner->uid : geteuid());
}

// A failed step in words, with what to do next.
absl::Status Explain(const SocketFileResult& result, const std::string& path,
                     std::optional<Owner> owner) {
  const std::string folder = FolderOf(path);
  switch (result.step) {
    case SocketFileStep::kDone:
      return absl::OkStatus();
    case SocketFileStep::kBecomeUser:
      return ErrnoStatus(result.error,
                         absl::StrFormat("become %s", UserText(owner)));
    case SocketFileStep::kOpenFolder:
      if (result.error == ENOENT) {
        return absl::FailedPreconditionError(
            absl::StrFormat("the folder '%s' of the socket does not exist; "
                            "create it: mkdir -p '%s'",
                            folder, folder));
      }
      return ErrnoStatus(
          result.error,
          absl::StrFormat("open folder '%s' as %s", folder, UserText(owner)));
    case SocketFileStep::kLock:
      return absl::UnavailableError(absl::StrFormat(
          "another process keeps the folder '%s' locked; try again", folder));
    case SocketFileStep::kLook:
      if (result.error != 0) {
        return ErrnoStatus(result.error, absl::StrFormat("look at '%s'", path));
      }
      return absl::FailedPreconditionError(absl::StrFormat(
          "'%s' is %s, not a socket, and is left alone; move it away or use "
          "another path",
          path, FileTypeName(result.found_mode)));
    case SocketFileStep::kProbe:
      if (result.error != 0) {
        return ErrnoStatus(
            result.error,
            absl::StrFormat("find out whether a server uses '%s'", path));
      }
      return absl::AlreadyExistsError(absl::StrFormat(
          "'%s' is in use by %s; stop it or use another path", path,
          result.holder > 0 ? DescribeProcess(result.holder)
                            : "a server that does not accept"));
    case SocketFileStep::kRemove:
      return ErrnoStatus(result.error,
                         absl::StrFormat("remove the socket '%s' as %s", path,
                                         UserText(owner)));
    case SocketFileStep::kSetMode:
      return ErrnoStatus(result.error,
                         absl::StrFormat("set the mode of '%s'", path));
    case SocketFileStep::kBind:
      return ErrnoStatus(
          result.error,
          absl::StrFormat("make the socket '%s' as %s", path, UserText(owner)));
    case SocketFileStep::kListen:
      return ErrnoStatus(result.error, absl::StrFormat("listen on '%s'", path));
  }
  return absl::InternalError("unknown step");
}

}  // namespace

absl::StatusOr<SocketFile> BindSocketFile(int fd, const std::string& path,
                                          mode_t mode,
                                          std::optional<Owner> owner) {
  APM_ASSIGN_OR_RETURN(SocketFileOrder order,
                       MakeOrder(SocketFileTask::kBind, path, owner));
  order.fd = fd;
  order.mode = mode;
  APM_ASSIGN_OR_RETURN(const SocketFileResult result, RunInChild(order));
  APM_RETURN_IF_ERROR(Explain(result, path, owner));
  return SocketFile{path, result.device, result.inode, owner};
}

absl::StatusOr<SocketFile> FindSocketFile(const std::string& path,
                                          std::optional<Owner> owner) {
  APM_ASSIGN_OR_RETURN(const SocketFileOrder order,
                       MakeOrder(SocketFileTask::kFind, path, owner));
  APM_ASSIGN_OR_RETURN(const SocketFileResult result, RunInChild(order));
  APM_RETURN_IF_ERROR(Explain(result, path, owner));
  return SocketFile{path, result.device, result.inode, owner};
}

absl::Status SetSocketFileMode(const SocketFile& file, mode_t mode) {
  APM_ASSIGN_OR_RETURN(
      SocketFileOrder order,
      MakeOrder(SocketFileTask::kSetMode, file.path, file.owner));
  order.mode = mode;
  order.device = file.device;
  order.inode = file.inode;
  APM_ASSIGN_OR_RETURN(const SocketFileResult result, RunInChild(order));
  return Explain(result, file.path, file.owner);
}

absl::Status RemoveSocketFile(const SocketFile& file) {
  APM_ASSIGN_OR_RETURN(SocketFileOrder order, MakeOrder(SocketFileTask::kRemove,
                                                        file.path, file.owner));
  order.device = file.device;
  order.inode = file.inode;
  APM_ASSIGN_OR_RETURN(const SocketFileResult result, RunInChild(order));
  return Explain(result, file.path, file.owner);
}

}  // namespace apm::listeners
