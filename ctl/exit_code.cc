#include "ctl/exit_code.h"

#include <stdio.h>

#include <string>

#include <absl/status/status.h>

#include "ctl/printable.h"

namespace apm::ctl {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNoSuchWorker;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kNoAgent;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kPermissionDenied;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimedOut;
    default:  // Servers may send numbers that have no name here.
      return ExitCode::kFailed;
  }
}

ExitCode ReportError(const absl::Status& status) {
  fprintf(stderr, "apmctl: %s\n",
          Printable(std::string(status.message())).c_str());
  return ExitCodeOf(status);
}

}  // namespace apm::ctl
