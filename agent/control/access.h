// Who may call what. Pure: decided from the peer's credentials, the policy and
// one table.
//
//   root, the owner        admin      everything
//   allow_group's members  operator   workers: look, operate, and create such
//                                     as run with the caller's own uid
//   anybody else           none       only health and reflection, which are
//                                     not ours and do not come here

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "agent/control/peer.h"

namespace apm::control {

// The kernel's stand-in for a user it cannot express here (overflowuid).
inline constexpr uid_t kUnmappedUid = 65'534;

enum class Role : uint8_t { kNone, kOperator, kAdmin };

enum class Method : uint8_t {
  kGetStatus,
  kShutdown,
  kUpgrade,
  kCreateWorker,
  kGetWorker,
  kListWorkers,
  kDeleteWorker,
  kStartWorker,
  kStopWorker,
  kRestartWorker,
  kReloadWorker,
  kScaleWorker,
  kApplyConfig,
  kReadLog,
  kFollowLog,
  kListEvents,
  kWatchEvents,
};

// A group whose members may operate workers. Resolved by the composition, at
// start: the name service must not be asked on the loop.
struct AllowedGroup {
  gid_t gid = 0;
  std::string name;
};

struct AccessPolicy {
  uid_t owner = 0;  // The daemon's user.
  std::vector<AllowedGroup> allow_groups;
};

Role RoleOf(const Peer& peer, const AccessPolicy& policy);

// OK, or kPermissionDenied with words for the caller: who he is here, why that
// is not enough, and what to ask for. `user_name` is called only to refuse.
absl::Status Authorise(Method method, const Peer& peer,
                       const AccessPolicy& policy,
                       std::string (*user_name)(uid_t));

}  // namespace apm::control
