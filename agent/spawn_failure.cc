#include "agent/spawn_failure.h"

#include <errno.h>

#include <string>
#include <string_view>

#include <absl/strings/str_format.h>

#include "base/os/errno_status.h"

namespace apm::agent {

std::string DescribeSpawnFailure(const WorkerRecord* record,
                                 std::string_view search_path,
                                 std::string_view step, int error,
                                 std::string_view detail) {
  std::string text =
      detail.empty()
          ? absl::StrFormat("%s: %s", step, ErrnoText(error))
          : absl::StrFormat("%s '%s': %s", step, detail, ErrnoText(error));
  if (record == nullptr) return text;
  const Identity& identity = record->run_as.identity;
  const std::string user = identity.name.empty()
                               ? absl::StrFormat("uid %d", identity.uid)
                               : absl::StrFormat("user '%s'", identity.name);
  if (step == "exec" && error == ENOENT) {
    text += absl::StrFormat(
        "; the file or the interpreter named in its first line does not exist; "
        "looked in PATH=%s",
        search_path);
  } else if (step == "exec" && error == EACCES) {
    text += absl::StrFormat(
        "; %s may not execute it: check chmod +x and the folders above it",
        user);
  } else if (step == "exec" && error == ENOEXEC) {
    text +=
        "; it is neither a program for this machine nor a script with a first "
        "line like #!/bin/sh; name its interpreter in 'exec' and the file in "
        "'params'";
  } else if (step == "chdir") {
    text += absl::StrFormat("; create it for %s, or set 'path'", user);
  } else if (step == "user") {
    text += "; only a daemon that runs as root can start workers as others";
  }
  return text;
}

}  // namespace apm::agent
