// The --output json of every command: snake_case, numbers are numbers, zero
// where there is none. The only file that knows nlohmann-json is its .cc.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apm/v1/agent.pb.h"
#include "apm/v1/event.pb.h"
#include "apm/v1/log.pb.h"
#include "apm/v1/worker.pb.h"

namespace apm::ctl {

// All end with a newline.

// {"workers":[{"name",...,"instances":[{"index",...}]}]}
std::string WorkersJson(const std::vector<v1::Worker>& workers);

// One of those workers, with its configuration, problem and counters, and per
// instance the last exit (null if there was none) and next_retry_at (Unix
// milliseconds).
std::string WorkerJson(const v1::Worker& worker);

std::string StatusJson(const v1::GetStatusResponse& status);
std::string NotRunningJson(std::string_view socket);
std::string PingJson(std::string_view version, int64_t round_trip_us);
std::string VersionJson(std::string_view version);

// One object a line.
std::string LogLineJson(std::string_view worker, const v1::LogLine& line);

// One object a line: {"cursor":"EPOCH:SEQUENCE","time_unix_us",...}, with the
// exit, null if no process ended, and all of the stderr tail.
std::string EventJson(const v1::Event& event);

// {"deleted":[names],"survivors":[what had to be killed]}
std::string DeletedJson(const std::vector<std::string>& names,
                        const std::vector<std::string>& survivors);
std::string KilledJson(const v1::ShutdownResponse& report);

}  // namespace apm::ctl
