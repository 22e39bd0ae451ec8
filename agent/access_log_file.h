// The file behind `access_log on`. The agent opens it, since the proxy may not
// open anything; the proxy appends to it (proxy/access_log.h).

#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm::agent {

// "web.access.log"
std::string AccessLogName(std::string_view worker);

// Creates the file if it is not there, readable by its owner and group only.
// kFailedPrecondition if there is something else than a file; else open's
// error.
absl::StatusOr<UniqueFd> OpenAccessLog(const std::string& path);

}  // namespace apm::agent
