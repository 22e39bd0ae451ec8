// What a client asks of logs, as values of agent/logs. Pure.

#pragma once

#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/logs/log_position.h"
#include "agent/logs/log_reader.h"
#include "apm/v1/log.pb.h"

namespace apm::control {

// Errors are kInvalidArgument: a stream that does not exist, too many lines, a
// regular expression that is none (with RE2's words), a position that is none.

// The instances are left to whoever finds the worker.
absl::StatusOr<logs::LastLines> LastLinesOf(const v1::ReadLogRequest& request);

// What comes first of a worker without a position: `lines`; with a time but
// without `lines`, as many as there may be.
absl::StatusOr<logs::LastLines> LastLinesOf(
    const v1::FollowLogRequest& request);

// By worker.
absl::StatusOr<std::map<std::string, logs::LogPosition>> PositionsOf(
    const v1::FollowLogRequest& request);

}  // namespace apm::control
