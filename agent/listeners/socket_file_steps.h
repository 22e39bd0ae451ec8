// What a socket file's child process does. Between fork and exit of a process
// with threads only async-signal-safe functions may be called
// (signal-safety(7)): no allocation, no locks. Hence plain structs here.

#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <cstdint>

namespace apm::listeners {

enum class SocketFileTask : uint8_t { kBind, kFind, kSetMode, kRemove };

struct SocketFileOrder {
  SocketFileTask task = SocketFileTask::kBind;
  int fd = -1;  // kBind: the socket.
  sockaddr_un address{};
  char folder[sizeof(sockaddr_un::sun_path)] = {};
  mode_t mode = 0;   // kBind, kSetMode.
  dev_t device = 0;  // kSetMode, kRemove: the file that is meant.
  ino_t inode = 0;
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Where it stopped.
enum class SocketFileStep : uint8_t {
  kDone,
  kBecomeUser,
  kOpenFolder,
  kLock,
  kLook,   // `found_mode` is what is there, if `error` is 0.
  kProbe,  // A server answers if `error` is 0; `holder` is its pid.
  kRemove,
  kSetMode,
  kBind,
  kListen,
};

struct SocketFileResult {
  SocketFileStep step = SocketFileStep::kDone;
  int error = 0;  // errno.
  mode_t found_mode = 0;
  pid_t holder = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

// Runs in the child.
SocketFileResult RunSocketFileSteps(const SocketFileOrder& order);

}  // namespace apm::listeners
