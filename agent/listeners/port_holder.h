// Who listens on a port: for the message of a bind that failed.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/config/listen_address.h"

namespace apm::listeners {

// A line of /proc/net/tcp or tcp6 that keeps an address from being bound.
struct PortEntry {
  uint64_t inode = 0;
  uid_t uid = 0;
};

// Searches the text of /proc/net/tcp (`six` false) or tcp6 (`six` true) for
// what is in the way of `address`, a TCP one: the same port with the same
// address, or where either is the wildcard; a v6 wildcard also holds the v4
// port unless it is V6ONLY, which the file does not tell. Listening sockets
// come before others.
std::optional<PortEntry> FindPortEntry(std::string_view text, bool six,
                                       const config::ListenAddress& address);

// "127.0.0.1:3000 is in use by node (pid 4711)", as far as it can be seen:
// without rights over the holder "by a process of uid 1001"; nothing found:
// "is in use". Reads /proc: for the error path only.
std::string DescribePortInUse(const config::ListenAddress& address);

// "node (pid 4711)".
std::string DescribeProcess(pid_t pid);

}  // namespace apm::listeners
