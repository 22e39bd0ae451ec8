// Finds the file that a worker's `exec` names, as a shell would.

#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace apm::agent {

// `exec` with a slash is below `cwd` unless absolute; without one it is looked
// up in `path` (colon-separated folders). The answer is absolute.
//
// kNotFound and kPermissionDenied say where was looked and what to do next:
// "exec 'nod': No such file or directory; looked in PATH=/usr/bin:/bin. Give
// the full path, ...". kInvalidArgument: it is a directory.
//
// Whether the worker's user may execute it is decided at the exec itself.
absl::StatusOr<std::string> FindProgram(std::string_view exec,
                                        std::string_view cwd,
                                        std::string_view path);

}  // namespace apm::agent
