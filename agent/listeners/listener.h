// Listening sockets: TCP v4 and v6, unix paths and abstract names.
//
//   APM_ASSIGN_OR_RETURN(BoundListener bound, Bind(address, options));
//   ... hand bound.fd to the proxy ...
//   Close(std::move(bound));
//
// Everything here is non-blocking for the event loop: no names are resolved.
// socket_file.h has the rules for socket files.

#pragma once

#include <sys/types.h>

#include <optional>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/listen_address.h"
#include "agent/listeners/socket_file.h"
#include "base/os/unique_fd.h"

namespace apm::listeners {

struct BindOptions {
  mode_t socket_mode = 0660;
  // The worker's user. Socket files are made and removed with exactly its
  // rights, as their folder may be that user's. Absent: this process's user.
  std::optional<Owner> owner;
};

struct BoundListener {
  UniqueFd fd;                     // Listening, non-blocking, CLOEXEC.
  config::ListenAddress address;   // With the port that the kernel picked.
  std::optional<SocketFile> file;  // Unix paths only.
};

// Binds and listens.
//   kInvalidArgument    the host is not numeric, or a path is too long
//   kAlreadyExists      in use; the message names the holder if it can be seen
//   kFailedPrecondition the path is taken by something that is not a dead
//                       socket: it is left alone and the message says what
//   others              as errno, with what was tried
// On failure nothing is left behind.
absl::StatusOr<BoundListener> Bind(const config::ListenAddress& address,
                                   const BindOptions& options);

// Takes back a listener that an earlier agent bound and the keeper kept.
// The socket at its path is taken for its file.
// kFailedPrecondition if `fd` is not listening on `address` or has no file any
// more; it is closed then.
absl::StatusOr<BoundListener> Adopt(UniqueFd fd,
                                    const config::ListenAddress& address,
                                    const BindOptions& options);

// Removes the socket file if it is still ours (device and inode), then closes.
// A file that is not ours any more is left alone: that is not an error.
absl::Status Close(BoundListener listener);

}  // namespace apm::listeners
