// Reads the values of a worker's `log` directives:
//
//   log rotate size=20M keep=5 age=7d;
//   log rate 10000/30s;
//   log format json;
//
// in one directive or in several.

#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "agent/config/config.h"

namespace apm::config {

// Calls `problem` with the index of each value that is wrong, what is wrong,
// and what to write instead.
LogConfig ReadLogOptions(
    const std::vector<std::string>& values,
    const std::function<void(size_t index, std::string message,
                             std::string hint)>& problem);

// As a directive would have it: "rotate size=20M keep=5 format text".
std::string FormatLog(const LogConfig& log);

}  // namespace apm::config
