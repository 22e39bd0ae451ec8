// Grammars of names.

#pragma once

#include <string_view>

namespace apm::config {

// A worker: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}.
bool IsWorkerName(std::string_view text);

// An environment variable: [A-Za-z_][A-Za-z0-9_]*.
bool IsVariableName(std::string_view text);

// A user or group: up to 32 of [A-Za-z0-9_.-], not starting with '-'
// (useradd(8), without a regard for case). Whether it exists is not asked.
bool IsAccountName(std::string_view text);

}  // namespace apm::config
