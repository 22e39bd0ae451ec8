// The daemon block as strings, and the checks that turn it into a
// DaemonConfig.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/worker_fields.h"

namespace apm::config {

// As the directives of the same names; empty means not given.
struct DaemonFields {
  std::vector<std::string> allow_groups;
  std::string socket;
  std::string state_dir;
  std::string log_level;
};

// Builds it with the default in place of every bad value, and appends what was
// wrong to `problems`. `folder` is where relative paths start.
DaemonConfig BuildDaemon(const DaemonFields& fields, std::string_view folder,
                         std::vector<FieldProblem>& problems);

}  // namespace apm::config
