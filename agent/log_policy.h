// What a worker's configuration says of its log, in the words of agent/logs,
// which knows no configuration.

#pragma once

#include "agent/config/config.h"
#include "agent/logs/log_policy.h"

namespace apm::agent {

inline logs::LogPolicy LogPolicyOf(const config::LogConfig& config) {
  return {
      .format = config.json ? logs::LineFormat::kJson : logs::LineFormat::kText,
      .rotation = {.max_bytes = config.max_bytes,
                   .max_age = config.max_age,
                   .keep = config.keep},
      .rate = {.lines = config.max_lines, .per = config.lines_per}};
}

}  // namespace apm::agent
