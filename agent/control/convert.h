// The agent's values as messages of apm.v1, and back. Pure.

#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "agent/config/worker_fields.h"
#include "agent/logs/log_line.h"
#include "apm/v1/agent.pb.h"
#include "apm/v1/config.pb.h"
#include "apm/v1/log.pb.h"
#include "apm/v1/worker.pb.h"

namespace apm::control {

v1::GetStatusResponse ToProto(const agent::AgentStatus& status);
v1::Worker ToProto(const agent::WorkerView& view);
v1::ApplyConfigResponse ToProto(const agent::ApplyReport& report);
v1::UpgradeResponse ToProto(const agent::UpgradeReport& report);

// Only its form changes: what the values mean is checked by
// config::ValidateWorker. kInvalidArgument for a field that is for output.
absl::StatusOr<config::WorkerFields> FromProto(const v1::WorkerConfig& config);

// kInvalidArgument, with the next step, for a number of instances that no
// worker can have, or for the name of an instance.
absl::Status CheckScale(const v1::ScaleWorkerRequest& request);

v1::LogLine ToProto(const logs::LogLine& line, const std::string& worker);

// The last of `lines` that fit into one message.
v1::ReadLogResponse ToProto(const std::vector<logs::LogLine>& lines,
                            const agent::LogFile& file);

}  // namespace apm::control
