// Whether to talk to whoever holds the socket: anybody may bind an abstract
// name first, and would be told environments and asked to run programs.

#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"
#include "ctl/command_line.h"

namespace apm::ctl {

// OK if `server` is root, the caller himself, or `daemon_user` (empty: none);
// else kPermissionDenied naming the holder and the next step. May ask the name
// service, but not in the usual cases.
absl::Status TrustServer(const ucred& server, uid_t caller,
                         const std::string& socket,
                         const std::string& daemon_user);

// Connects to Globals::socket and trusts. kUnavailable if nobody answers.
absl::StatusOr<UniqueFd> ConnectToAgent(const Globals& globals,
                                        absl::Duration patience);

}  // namespace apm::ctl
