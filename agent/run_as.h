// Whom a worker's processes run as.

#pragma once

#include <absl/status/statusor.h>

#include "agent/config/config.h"
#include "agent/user_database.h"

namespace apm::agent {

struct RunAs {
  Identity identity;
  bool change_user = false;  // Else it is the daemon's own user.
};

// By `user`, `group` and, for a daemon that is root, the owner of `path`.
// kPermissionDenied if `daemon` may not start processes as that user. Asks the
// user database, which may block.
absl::StatusOr<RunAs> ResolveRunAs(const config::WorkerConfig& config,
                                   const Identity& daemon);

}  // namespace apm::agent
