// The words for a process that could not be started: what failed, and the next
// step to take.

#pragma once

#include <string>
#include <string_view>

#include "agent/worker_record.h"

namespace apm::agent {

// `step`, `error` (errno) and `detail` as apm-exec reports them; `record` is
// null if the worker is gone meanwhile. `search_path` is the PATH that the
// program was looked up in.
std::string DescribeSpawnFailure(const WorkerRecord* record,
                                 std::string_view search_path,
                                 std::string_view step, int error,
                                 std::string_view detail);

}  // namespace apm::agent
