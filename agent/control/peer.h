// Who is at the other end of an accepted local socket, as the kernel tells it.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::control {

// Whether a process is in our user, pid and mount namespaces. Root of a
// container that shares our network is not root here.
enum class Namespaces : uint8_t { kOurs, kForeign };

struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // The primary group is not always in it.
  Namespaces namespaces = Namespaces::kForeign;

  bool operator==(const Peer&) const = default;
};

// SO_PEERCRED and SO_PEERGROUPS of `socket`, and /proc/<pid>. The credentials
// are those of the moment of connect(). Does not block.
absl::StatusOr<Peer> ReadPeer(int socket);

// Compares /proc/<pid>/ns/{user,pid,mnt} with our own. An agent that is not
// root may not read these links of another user's process; it compares what
// is public instead: the depth of the pid namespace and the uid map. A process
// that is gone is foreign.
Namespaces CompareNamespaces(pid_t pid);

}  // namespace apm::control
