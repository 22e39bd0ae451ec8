#include "agent/run_as.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/status/status_macros.h"

namespace apm::agent {

absl::StatusOr<RunAs> ResolveRunAs(const config::WorkerConfig& config,
                                   const Identity& daemon) {
  RunAs run_as{daemon, false};
  if (!config.user.empty()) {
    APM_ASSIGN_OR_RETURN(run_as.identity, FindUser(config.user));
  } else if (daemon.uid == 0) {
    run_as.identity = OwnerOf(config.path, daemon);
  }
  if (!config.group.empty()) {
    APM_ASSIGN_OR_RETURN(run_as.identity.gid, FindGroup(config.group));
  }
  run_as.change_user =
      run_as.identity.uid != daemon.uid || run_as.identity.gid != daemon.gid;
  if (run_as.change_user && daemon.uid != 0) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "it should run as user '%s', and only a daemon that runs as root can "
        "start workers as others; remove 'user' and 'group', or run the "
        "daemon as root",
        run_as.identity.name));
  }
  return run_as;
}

}  // namespace apm::agent
