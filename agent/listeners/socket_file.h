// Socket files: made with the right owner and mode from the first moment, and
// removed only when they are dead or ours.
//
// All of it happens in a short-lived child process, because three things it
// needs belong to a whole process, not to a thread: its user (root must not
// follow the paths of a user's folder), its umask (bind(2) applies it to the
// mode), and the freedom to hang on a bad file system without stopping the
// agent's loop for more than kSocketFileTimeout.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace apm::listeners {

inline constexpr absl::Duration kSocketFileTimeout = absl::Seconds(2);

// Whom a worker's socket file belongs to.
struct Owner {
  uid_t uid;
  gid_t gid;
};

// The socket file that a listener made, to be removed only while it is the
// same file.
struct SocketFile {
  std::string path;
  dev_t device;
  ino_t inode;
  std::optional<Owner> owner;
};

// Binds the unbound unix socket `fd` to `path` and makes it listen. A dead
// socket in the way is removed first; anything else is left alone:
//   kAlreadyExists       a server answers there
//   kFailedPrecondition  it is no socket, or the folder does not exist
//   kPermissionDenied    the owner may not write there
//   kDeadlineExceeded    the file system does not answer
absl::StatusOr<SocketFile> BindSocketFile(int fd, const std::string& path,
                                          mode_t mode,
                                          std::optional<Owner> owner);

// The file that is at `path` now. kFailedPrecondition if it is no socket.
absl::StatusOr<SocketFile> FindSocketFile(const std::string& path,
                                          std::optional<Owner> owner);

// Gives it that mode, if the path still leads to this very file; else does
// nothing.
absl::Status SetSocketFileMode(const SocketFile& file, mode_t mode);

// Removes it, if the path still leads to this very file; else does nothing.
absl::Status RemoveSocketFile(const SocketFile& file);

}  // namespace apm::listeners
