// What apm-proxy gives up before it reads a client's first byte: its user, its
// capabilities, and every system call that it does not need.
//
//   TouchLazyThings();
//   APM_ASSIGN_OR_RETURN(Identity identity, DropPrivileges());
//   APM_RETURN_IF_ERROR(CloseSandbox());
//
// After that the process cannot open a file, bind, connect, fork or exec: such
// a call fails with EPERM. It works with descriptors that it is handed.

#pragma once

#include <sys/types.h>

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace apm::proxy {

// The user of the proxy on a root install, and the uid where there is none:
// the last one below systemd's dynamic users that no convention gives out
// (systemd's UIDS-GIDS.md), and not "nobody", whom other programs share.
inline constexpr char kProxyUser[] = "apm";
inline constexpr uid_t kFallbackUid = 61183;

struct Identity {
  uid_t uid = 0;
  std::string warning;  // What could not be applied; empty if all was.
};

// Raises the limit of open descriptors to what is allowed, and loads what
// libraries load at their first use from files: the time zone.
void TouchLazyThings();

// Becomes an unprivileged user for good: no capabilities, no new privileges
// through exec, no ptrace by others. Run by a user: that user stays.
absl::StatusOr<Identity> DropPrivileges();

// Allows only the system calls of a running proxy (seccomp(2)). Everything
// else fails with EPERM from here on.
absl::Status CloseSandbox();

}  // namespace apm::proxy
