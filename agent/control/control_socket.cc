#include "agent/control/control_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/os/unix_socket.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

constexpr int kBacklog = 128;
constexpr mode_t kMode = 0666;

// How long a holder may take to let us in so that we learn his name.
constexpr absl::Duration kProbePatience = absl::Milliseconds(500);

constexpr char kNextStep[] =
    "; end it (if it is an agent of yours: apmctl kill), or choose another "
    "socket: --socket @NAME";

absl::Status HeldBy(const UnixAddress& address, const UniqueFd& connection) {
  const absl::StatusOr<ucred> holder = PeerCredentials(connection.get());
  return absl::AlreadyExistsError(absl::StrCat(
      address.text, " is held by ",
      holder.ok() ? DescribePeer(*holder) : "another process", kNextStep));
}

// Makes way for bind() where a path is left over from an agent that was
// killed: only a socket that refuses connections is.
absl::Status RemoveStalePath(const UnixAddress& address) {
  struct stat status {};
  if (lstat(address.text.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("'", address.text,
                     "' is not a socket; move it away, or choose another "
                     "socket: --socket PATH"));
  }
  const auto connection = ConnectUnix(address, kProbePatience);
  if (connection.ok()) return HeldBy(address, *connection);
  if (!absl::IsUnavailable(connection.status())) {  // Not ECONNREFUSED.
    return absl::AlreadyExistsError(
        absl::StrCat(address.text, " is held by another process: ",
                     connection.status().message(), kNextStep));
  }
  unlink(address.text.c_str());
  return absl::OkStatus();
}

absl::Status Bind(int socket, const UnixAddress& address) {
  if (!address.abstract()) APM_RETURN_IF_ERROR(RemoveStalePath(address));
  if (bind(socket, address.get(), address.length) == 0) return absl::OkStatus();
  const int error = errno;
  if (error == EADDRINUSE) {
    const auto connection = ConnectUnix(address, kProbePatience);
    if (connection.ok()) return HeldBy(address, *connection);
    return absl::AlreadyExistsError(
        absl::StrCat(address.text, " is held by another process", kNextStep));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "bind control socket '", address.text, "': ", ErrnoText(error),
      "; choose another socket: --socket @NAME or PATH"));
}

}  // namespace

absl::StatusOr<ControlSocket> ControlSocket::Listen(std::string_view text) {
  APM_ASSIGN_OR_RETURN(const UnixAddress address, ParseUnixAddress(text));
  const std::string action =
      absl::StrCat("listen on control socket '", address.text, "'");
  UniqueFd socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return ErrnoStatus(errno, action);
  APM_RETURN_IF_ERROR(Bind(socket.get(), address));

  ControlSocket result;
  if (!address.abstract()) {
    struct stat status {};
    if (chmod(address.text.c_str(), kMode) != 0 ||
        lstat(address.text.c_str(), &status) != 0) {
      return ErrnoStatus(errno, action);
    }
    result.path_ = address.text;
    result.device_ = status.st_dev;
    result.inode_ = status.st_ino;
  }
  if (listen(socket.get(), kBacklog) != 0) return ErrnoStatus(errno, action);
  result.socket_ = std::move(socket);
  return result;
}

ControlSocket::~ControlSocket() {
  struct stat status {};
  if (!socket_ || path_.empty() || lstat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

}  // namespace apm::control
