#include "agent/control/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "base/os/errno_status.h"
#include "base/os/unix_socket.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

absl::StatusOr<std::vector<gid_t>> PeerGroups(int socket) {
  // Linux lets a process have 65,536 groups; the kernel says how many it are.
  std::vector<gid_t> groups(64);
  for (;;) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) ==
        0) {
      groups.resize(bytes / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE) {
      return ErrnoStatus(errno, "ask for the groups of a peer");
    }
    groups.resize(bytes / sizeof(gid_t));
  }
}

// The NSpid line: one number for each pid namespace the process is in, from
// that of /proc downwards.
std::optional<size_t> PidNamespaceDepth(const std::string& process) {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    std::istringstream numbers(line.substr(sizeof("NSpid:") - 1));
    size_t depth = 0;
    for (pid_t pid = 0; numbers >> pid;) ++depth;
    return depth;
  }
  return std::nullopt;
}

std::string UidMap(const std::string& process) {
  std::ifstream map("/proc/" + process + "/uid_map");
  std::ostringstream text;
  text << map.rdbuf();
  return text.str();
}

Namespaces ComparePublicTraces(const std::string& process) {
  const std::optional<size_t> depth = PidNamespaceDepth(process);
  const std::string uid_map = UidMap(process);
  return depth && depth == PidNamespaceDepth("self") && !uid_map.empty() &&
                 uid_map == UidMap("self")
             ? Namespaces::kOurs
             : Namespaces::kForeign;
}

}  // namespace

Namespaces CompareNamespaces(pid_t pid) {
  if (pid <= 0) return Namespaces::kForeign;  // Invisible from our namespace.
  const std::string process = absl::StrCat(pid);
  for (const char* kind : {"user", "pid", "mnt"}) {
    struct stat ours {};
    struct stat theirs {};
    if (stat(absl::StrCat("/proc/self/ns/", kind).c_str(), &ours) != 0) {
      return Namespaces::kForeign;
    }
    if (stat(absl::StrCat("/proc/", process, "/ns/", kind).c_str(), &theirs) !=
        0) {
      return errno == EACCES || errno == EPERM ? ComparePublicTraces(process)
                                               : Namespaces::kForeign;
    }
    if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino) {
      return Namespaces::kForeign;
    }
  }
  return Namespaces::kOurs;
}

absl::StatusOr<Peer> ReadPeer(int socket) {
  APM_ASSIGN_OR_RETURN(const ucred credentials, PeerCredentials(socket));
  Peer peer;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  peer.pid = credentials.pid;
  APM_ASSIGN_OR_RETURN(peer.groups, PeerGroups(socket));
  peer.namespaces = CompareNamespaces(peer.pid);
  return peer;
}

}  // namespace apm::control
