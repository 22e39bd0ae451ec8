// What apmctl tells scripts. Numbers never change meaning.

#pragma once

#include <absl/status/status.h>

namespace apm::ctl {

enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,  // The agent tried, and it did not work.
  kUsage = 2,   // What was typed is wrong; nothing was tried.
  kNoSuchWorker = 3,
  kNoAgent = 4,           // Nobody answers on the socket.
  kPermissionDenied = 5,  // The agent refuses the caller, or he the agent.
  kTimedOut = 6,
  kPartlyDone = 7,  // Of several names, some failed.
};

ExitCode ExitCodeOf(const absl::Status& status);

// Prints "apmctl: <message>" to stderr. Returns ExitCodeOf(status).
ExitCode ReportError(const absl::Status& status);

}  // namespace apm::ctl
