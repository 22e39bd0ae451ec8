// The keeper's own log: a few lines a day, one write() each, in the format of
// base/log, which would bring a logging library into this small program.
//
//   2026-01-01T00:00:00.000+00:00 apm-keeper[17] info: started apm-agent

#pragma once

#include <string_view>

namespace apm::keeper {

// To stderr; control characters become '?'. Errors of writing are ignored: a
// full disk must not stop the keeper.
void LogInfo(std::string_view message);
void LogWarning(std::string_view message);
void LogError(std::string_view message);

}  // namespace apm::keeper
