#include "agent/listeners/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/config/listen_address.h"
#include "agent/listeners/port_holder.h"
#include "agent/listeners/socket_address.h"
#include "agent/listeners/socket_file.h"
#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/status/status_macros.h"

namespace apm::listeners {
namespace {

using config::AddressKind;
using config::FormatAddress;
using config::ListenAddress;

constexpr int kBacklog = 4096;  // The kernel's own bound (net.core.somaxconn).
constexpr int kFirstFreePort = 1024;

bool IsTcp(const ListenAddress& address) {
  return address.kind == AddressKind::kTcp4 ||
         address.kind == AddressKind::kTcp6;
}

// Restarting must not wait for the old connections' TIME_WAIT. Never
// SO_REUSEPORT: a second daemon could take half of the connections unnoticed.
// V6ONLY: both families on one port are two lines of configuration.
absl::Status SetTcpOptions(int fd, AddressKind kind) {
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return ErrnoStatus(errno, "set SO_REUSEADDR");
  }
  if (kind == AddressKind::kTcp6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return ErrnoStatus(errno, "set IPV6_V6ONLY");
  }
  return absl::OkStatus();
}

// What bind() or listen() says, in words.
absl::Status ExplainBind(int error, const ListenAddress& address) {
  const std::string place = FormatAddress(address);
  if (error == EADDRINUSE && IsTcp(address)) {
    return absl::AlreadyExistsError(DescribePortInUse(address) +
                                    "; stop it or use another port");
  }
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "%s is in use; `ss -xlp` shows by whom; stop it or use another name",
        place));
  }
  if (error == EADDRNOTAVAIL) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "this host does not have the address of %s; `ip address` shows those "
        "that it has",
        place));
  }
  if (error == EACCES && IsTcp(address) && address.port < kFirstFreePort) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s: ports below %d need root or CAP_NET_BIND_SERVICE; use a higher "
        "one",
        place, kFirstFreePort));
  }
  return ErrnoStatus(error, absl::StrFormat("bind %s", place));
}

}  // namespace

absl::StatusOr<BoundListener> Bind(const ListenAddress& address,
                                   const BindOptions& options) {
  APM_ASSIGN_OR_RETURN(const SocketAddress name, ToSocketAddress(address));
  BoundListener listener;
  listener.address = address;
  listener.fd.Reset(
      socket(name.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = listener.fd.get();
  if (fd < 0) {
    return ErrnoStatus(errno, absl::StrFormat("create a socket for %s",
                                              FormatAddress(address)));
  }
  if (address.kind == AddressKind::kUnixPath) {
    APM_ASSIGN_OR_RETURN(
        listener.file,
        BindSocketFile(fd, address.path, options.socket_mode, options.owner));
  } else {
    if (IsTcp(address)) {
      APM_RETURN_IF_ERROR(SetTcpOptions(fd, address.kind));
    }
    if (bind(fd, name.get(), name.size) != 0) {
      return ExplainBind(errno, address);
    }
  }
  // For a socket file the second time: peers see the credentials of who called
  // listen() last (SO_PEERCRED, unix(7)), which shall be us, not the child.
  if (listen(fd, kBacklog) != 0) {
    const int error = errno;
    Close(std::move(listener)).IgnoreError();
    return ExplainBind(error, address);
  }
  APM_ASSIGN_OR_RETURN(listener.address, WithActualPort(address, fd));
  return listener;
}

absl::StatusOr<BoundListener> Adopt(UniqueFd fd, const ListenAddress& address,
                                    const BindOptions& options) {
  BoundListener listener;
  listener.fd = std::move(fd);
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(listener.fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening,
                 &size) != 0 ||
      listening == 0) {
    return absl::FailedPreconditionError("the descriptor is not listening");
  }
  APM_ASSIGN_OR_RETURN(listener.address,
                       WithActualPort(address, listener.fd.get()));
  // With port 0 any port is the one that was asked for.
  ListenAddress expected = address;
  if (address.port == 0) expected.port = listener.address.port;
  APM_ASSIGN_OR_RETURN(const SocketAddress wanted, ToSocketAddress(expected));
  SocketAddress actual;
  actual.size = sizeof actual.storage;
  if (getsockname(listener.fd.get(), actual.get(), &actual.size) != 0 ||
      memcmp(&actual.storage, &wanted.storage, sizeof actual.storage) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the descriptor listens elsewhere than on %s", FormatAddress(address)));
  }
  if (listen(listener.fd.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, "listen again");
  }
  if (address.kind == AddressKind::kUnixPath) {
    APM_ASSIGN_OR_RETURN(listener.file,
                         FindSocketFile(address.path, options.owner));
  }
  return listener;
}

absl::Status Close(BoundListener listener) {
  if (!listener.file) return absl::OkStatus();
  return RemoveSocketFile(*listener.file);
}

}  // namespace apm::listeners
