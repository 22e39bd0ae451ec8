// Local stream sockets: their names, and who is at the other end (unix(7)).

#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"

namespace apm {

struct UnixAddress {
  sockaddr_un address{};
  socklen_t length = 0;
  std::string text;  // As it was written.

  bool abstract() const { return text.front() == '@'; }
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&address);
  }
};

// Reads "@NAME" (abstract) or an absolute path. kInvalidArgument if it is
// empty, relative, over 107 bytes or contains a NUL.
absl::StatusOr<UnixAddress> ParseUnixAddress(std::string_view text);

// A connected stream socket, blocking and close-on-exec. kNotFound if there
// is no such path, kUnavailable if nobody listens, kPermissionDenied if the
// path may not be reached, kDeadlineExceeded if the listener did not make room
// within `patience`.
absl::StatusOr<UniqueFd> ConnectUnix(const UnixAddress& address,
                                     absl::Duration patience);

// Who is at the other end of a connected socket: of the client when it called
// connect(), of the server when it called listen() (SO_PEERCRED).
absl::StatusOr<ucred> PeerCredentials(int socket);

// "uid 1002 (bob), pid 77". Asks the name service, which may block.
std::string DescribePeer(const ucred& peer);

}  // namespace apm
