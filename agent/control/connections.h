// Which peer is behind a descriptor that was handed to gRPC.
//
// gRPC names a call's connection by its descriptor ("fd:12"), owns that
// descriptor and closes it without a word. A call that was sent just before
// its connection closed may start when the number has been given to somebody
// else, and would be taken for that peer's. So a number is reused only for the
// same user with the same groups, as long as there are others; peers that are
// not admitted share theirs, since none of them may do anything.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/control/peer.h"
#include "base/os/unique_fd.h"

namespace apm::control {

// Open connections: of one uid that is not admitted, of all such uids (a user
// namespace has thousands of them), and of everybody.
inline constexpr size_t kMaxConnectionsOfStranger = 16;
inline constexpr size_t kMaxConnectionsOfStrangers = 128;
inline constexpr size_t kMaxConnections = 256;

// Thread: Admit() on the loop's, Find() on any.
class Connections {
 public:
  // Notes who is behind `socket` and returns it under a number that is safe to
  // give to gRPC. kResourceExhausted over the limits above.
  absl::StatusOr<UniqueFd> Admit(UniqueFd socket, const Peer& peer,
                                 bool admitted);

  // The peer of a call: `name` is ServerContext::peer(). nullopt if it names
  // no connection of ours (it is "unknown" once a call is cancelled).
  std::optional<Peer> Find(std::string_view name) const;

 private:
  struct Connection {
    Peer peer;
    bool admitted = false;
    ino_t inode = 0;  // Of the socket: gone from this number, it is closed.
  };

  static bool IsOpen(int fd, const Connection& connection);
  static bool MayShareNumber(const Connection& a, const Connection& b);
  absl::Status CheckLimits(const Connection& incoming) const;
  absl::StatusOr<UniqueFd> Renumber(const UniqueFd& socket,
                                    const Connection& incoming) const;

  // gRPC's threads look up while the loop admits.
  mutable std::mutex mutex_;
  std::map<int, Connection> by_fd_;  // Guarded by mutex_; closed ones too.
};

}  // namespace apm::control
