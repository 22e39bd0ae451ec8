#include "agent/control/connections.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

// Ours begin here, out of the way of what the agent opens otherwise.
constexpr int kFirstNumber = 128;

}  // namespace

bool Connections::IsOpen(int fd, const Connection& connection) {
  struct stat now {};
  return fstat(fd, &now) == 0 && S_ISSOCK(now.st_mode) &&
         now.st_ino == connection.inode;
}

bool Connections::MayShareNumber(const Connection& a, const Connection& b) {
  if (!a.admitted || !b.admitted) return a.admitted == b.admitted;
  return a.peer.uid == b.peer.uid && a.peer.gid == b.peer.gid &&
         a.peer.groups == b.peer.groups;
}

absl::Status Connections::CheckLimits(const Connection& incoming) const {
  size_t all = 0;
  size_t strangers = 0;
  size_t of_uid = 0;
  for (const auto& [fd, connection] : by_fd_) {
    if (!IsOpen(fd, connection)) continue;
    ++all;
    if (!connection.admitted) ++strangers;
    if (connection.peer.uid == incoming.peer.uid) ++of_uid;
  }
  if (all >= kMaxConnections) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", all, " connections already"));
  }
  if (!incoming.admitted && strangers >= kMaxConnectionsOfStrangers) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "users that are not admitted have ", strangers, " connections"));
  }
  if (!incoming.admitted && of_uid >= kMaxConnectionsOfStranger) {
    return absl::ResourceExhaustedError(
        absl::StrCat("uid ", incoming.peer.uid, ", which is not admitted, has ",
                     of_uid, " connections"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> Connections::Renumber(
    const UniqueFd& socket, const Connection& incoming) const {
  // First what this identity has used before, then what nobody has. F_DUPFD
  // takes the lowest free number from there, perhaps not the one we meant.
  for (const auto& [fd, connection] : by_fd_) {
    if (!MayShareNumber(connection, incoming) || IsOpen(fd, connection)) {
      continue;
    }
    UniqueFd copy(fcntl(socket.get(), F_DUPFD_CLOEXEC, fd));
    if (copy.get() == fd) return copy;
  }
  const int unused = by_fd_.empty() ? kFirstNumber : by_fd_.rbegin()->first + 1;
  UniqueFd copy(fcntl(socket.get(), F_DUPFD_CLOEXEC, unused));
  if (!copy && (errno == EINVAL || errno == EMFILE)) {
    // The process may not have numbers that high: any must do.
    copy.Reset(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  }
  if (!copy) return ErrnoStatus(errno, "take a connection");
  return copy;
}

absl::StatusOr<UniqueFd> Connections::Admit(UniqueFd socket, const Peer& peer,
                                            bool admitted) {
  struct stat status {};
  if (fstat(socket.get(), &status) != 0) {
    return ErrnoStatus(errno, "look at a connection");
  }
  const Connection incoming{
      .peer = peer, .admitted = admitted, .inode = status.st_ino};
  const std::lock_guard lock(mutex_);
  APM_RETURN_IF_ERROR(CheckLimits(incoming));
  APM_ASSIGN_OR_RETURN(UniqueFd renumbered, Renumber(socket, incoming));
  by_fd_.insert_or_assign(renumbered.get(), incoming);
  return renumbered;
}

std::optional<Peer> Connections::Find(std::string_view name) const {
  constexpr std::string_view kPrefix = "fd:";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  int fd = -1;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), fd);
  if (error != std::errc() || end != name.data() + name.size()) {
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  const auto found = by_fd_.find(fd);
  if (found == by_fd_.end()) return std::nullopt;
  return found->second.peer;
}

}  // namespace apm::control
