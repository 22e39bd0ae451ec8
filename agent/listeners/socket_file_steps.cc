// The lock is on the folder itself: it leaves no file behind, and it keeps two
// agents from removing each other's socket between bind and listen, when a
// probe says "connection refused" though somebody is there.

#include "agent/listeners/socket_file_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace apm::listeners {
namespace {

constexpr int kBacklog = 4096;  // The kernel's own bound (net.core.somaxconn).

// Another agent holds the lock for microseconds. flock(2) has no deadline and
// no event to wait for.
constexpr int kLockAttempts = 50;
constexpr int kLockPauseMs = 10;

SocketFileResult Stopped(SocketFileStep step, int error) {
  SocketFileResult result;
  result.step = step;
  result.error = error;
  return result;
}

// The system calls themselves: glibc's functions of these names would reach
// for the threads that the child does not have.
bool BecomeUser(uid_t uid, gid_t gid) {
  return syscall(SYS_setgroups, 0, nullptr) == 0 &&
         syscall(SYS_setresgid, gid, gid, gid) == 0 &&
         syscall(SYS_setresuid, uid, uid, uid) == 0;
}

bool Lock(int folder) {
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    if (flock(folder, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    poll(nullptr, 0, kLockPauseMs);
  }
  errno = EWOULDBLOCK;
  return false;
}

// kDone: nobody is there. kProbe: somebody is, or it cannot be told.
SocketFileResult Probe(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Stopped(SocketFileStep::kProbe, errno);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (connect(fd, name, sizeof address) == 0) {
    SocketFileResult live = Stopped(SocketFileStep::kProbe, 0);
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
      live.holder = peer.pid;
    }
    close(fd);
    return live;
  }
  const int error = errno;
  close(fd);
  if (error == ECONNREFUSED) return SocketFileResult{};
  // EAGAIN: its queue is full; EPROTOTYPE: it is no stream socket. Both live.
  const bool live = error == EAGAIN || error == EPROTOTYPE;
  return Stopped(SocketFileStep::kProbe, live ? 0 : error);
}

// Removes a dead socket that is in the way.
SocketFileResult MakeRoom(const SocketFileOrder& order) {
  struct stat there {};
  if (lstat(order.address.sun_path, &there) != 0) {
    return errno == ENOENT ? SocketFileResult{}
                           : Stopped(SocketFileStep::kLook, errno);
  }
  if (!S_ISSOCK(there.st_mode)) {
    SocketFileResult taken = Stopped(SocketFileStep::kLook, 0);
    taken.found_mode = there.st_mode;
    return taken;
  }
  const SocketFileResult probe = Probe(order.address);
  if (probe.step != SocketFileStep::kDone) return probe;
  if (unlink(order.address.sun_path) != 0) {
    return Stopped(SocketFileStep::kRemove, errno);
  }
  return SocketFileResult{};
}

SocketFileResult Find(const SocketFileOrder& order) {
  struct stat there {};
  if (lstat(order.address.sun_path, &there) != 0) {
    return Stopped(SocketFileStep::kLook, errno);
  }
  SocketFileResult found;
  if (!S_ISSOCK(there.st_mode)) found.step = SocketFileStep::kLook;
  found.found_mode = there.st_mode;
  found.device = there.st_dev;
  found.inode = there.st_ino;
  return found;
}

SocketFileResult BindAndListen(const SocketFileOrder& order) {
  const SocketFileResult room = MakeRoom(order);
  if (room.step != SocketFileStep::kDone) return room;

  const auto* name = reinterpret_cast<const sockaddr*>(&order.address);
  if (bind(order.fd, name, sizeof order.address) != 0) {
    return Stopped(SocketFileStep::kBind, errno);
  }
  SocketFileResult made = Find(order);
  if (made.step != SocketFileStep::kDone) return made;
  if (listen(order.fd, kBacklog) != 0) {
    made.step = SocketFileStep::kListen;
    made.error = errno;
    unlink(order.address.sun_path);
  }
  return made;
}

// Whether the path leads to the file that is meant: else it is gone, or
// another's, and not ours to touch.
bool IsSame(const SocketFileOrder& order) {
  const SocketFileResult found = Find(order);
  return found.step == SocketFileStep::kDone && found.device == order.device &&
         found.inode == order.inode;
}

SocketFileResult RemoveIfSame(const SocketFileOrder& order) {
  if (IsSame(order) && unlink(order.address.sun_path) != 0 && errno != ENOENT) {
    return Stopped(SocketFileStep::kRemove, errno);
  }
  return SocketFileResult{};
}

SocketFileResult SetModeIfSame(const SocketFileOrder& order) {
  if (IsSame(order) && chmod(order.address.sun_path, order.mode) != 0) {
    return Stopped(SocketFileStep::kSetMode, errno);
  }
  return SocketFileResult{};
}

}  // namespace

SocketFileResult RunSocketFileSteps(const SocketFileOrder& order) {
  // The file gets the mode of the socket's own inode, less the umask
  // (unix_bind in net/unix/af_unix.c): set before bind, it is never seen with
  // another one. The inode belongs to who made the socket, so this comes
  // before the change of user.
  umask(0);
  if (order.task == SocketFileTask::kBind &&
      fchmod(order.fd, order.mode) != 0) {
    return Stopped(SocketFileStep::kSetMode, errno);
  }
  if (order.change_user && !BecomeUser(order.uid, order.gid)) {
    return Stopped(SocketFileStep::kBecomeUser, errno);
  }
  if (order.task == SocketFileTask::kFind) return Find(order);

  // Closed, and with it unlocked, when the child exits.
  const int folder = open(order.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return Stopped(SocketFileStep::kOpenFolder, errno);
  if (!Lock(folder)) return Stopped(SocketFileStep::kLock, errno);
  if (order.task == SocketFileTask::kRemove) return RemoveIfSame(order);
  if (order.task == SocketFileTask::kSetMode) return SetModeIfSame(order);
  return BindAndListen(order);
}

}  // namespace apm::listeners
