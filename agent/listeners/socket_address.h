// ListenAddress to the kernel's form and back.

#pragma once

#include <sys/socket.h>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/listen_address.h"

namespace apm::listeners {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// kInvalidArgument: a host that is not numeric, or a name that is too long.
absl::StatusOr<SocketAddress> ToSocketAddress(
    const config::ListenAddress& address);

// `address` with the port that `fd` really has.
absl::StatusOr<config::ListenAddress> WithActualPort(
    config::ListenAddress address, int fd);

}  // namespace apm::listeners
