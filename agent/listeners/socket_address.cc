#include "agent/listeners/socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"

namespace apm::listeners {
namespace {

using config::AddressKind;
using config::ListenAddress;

absl::Status NotNumeric(const ListenAddress& address) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is not an IP address; use one, as names are not resolved",
      address.host));
}

template <typename T>
T& As(SocketAddress& address) {
  address.size = sizeof(T);
  return reinterpret_cast<T&>(address.storage);
}

absl::Status FillUnix(const ListenAddress& address, SocketAddress& out) {
  if (address.path.empty()) {
    return absl::InvalidArgumentError("the socket path is empty");
  }
  if (address.path.size() > config::kMaxUnixPathBytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the socket path '%s' has %d bytes and the kernel allows %d; use a "
        "shorter one",
        address.path, address.path.size(), config::kMaxUnixPathBytes));
  }
  auto& un = As<sockaddr_un>(out);
  un.sun_family = AF_UNIX;
  // An abstract name starts with a NUL and is as long as the size says; a path
  // ends with one (unix(7)).
  const bool abstract = address.kind == AddressKind::kUnixAbstract;
  memcpy(un.sun_path + (abstract ? 1 : 0), address.path.data(),
         address.path.size());
  out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                    address.path.size() + 1);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SocketAddress> ToSocketAddress(const ListenAddress& address) {
  SocketAddress out;
  switch (address.kind) {
    case AddressKind::kTcp4: {
      auto& in = As<sockaddr_in>(out);
      in.sin_family = AF_INET;
      in.sin_port = htons(address.port);
      if (inet_pton(AF_INET, address.host.c_str(), &in.sin_addr) != 1) {
        return NotNumeric(address);
      }
      return out;
    }
    case AddressKind::kTcp6: {
      auto& in6 = As<sockaddr_in6>(out);
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(address.port);
      if (inet_pton(AF_INET6, address.host.c_str(), &in6.sin6_addr) != 1) {
        return NotNumeric(address);
      }
      return out;
    }
    case AddressKind::kUnixPath:
    case AddressKind::kUnixAbstract: {
      const absl::Status filled = FillUnix(address, out);
      if (!filled.ok()) return filled;
      return out;
    }
  }
  return absl::InvalidArgumentError("unknown kind of address");
}

absl::StatusOr<ListenAddress> WithActualPort(ListenAddress address, int fd) {
  SocketAddress actual;
  actual.size = sizeof actual.storage;
  if (getsockname(fd, actual.get(), &actual.size) != 0) {
    return ErrnoStatus(errno, "ask for a socket's address");
  }
  if (actual.family() == AF_INET) {
    address.port = ntohs(As<sockaddr_in>(actual).sin_port);
  } else if (actual.family() == AF_INET6) {
    address.port = ntohs(As<sockaddr_in6>(actual).sin6_port);
  }
  return address;
}

}  // namespace apm::listeners
