// From what the user typed after `apmctl run` to what the agent executes: the
// caller's PATH and folder count, not the agent's.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::ctl {

struct Program {
  std::string exec;                 // Absolute.
  std::vector<std::string> params;  // The script, if `exec` interprets one.
  std::string default_name;         // The file's name without its extension.
};

// A file with a known extension is a script, run by its interpreter from
// `path` (as in $PATH). A name with a slash is below `folder`; one without is
// looked up in `path`, except a script, which is in `folder`.
// kFailedPrecondition if there is no such file, or it is a folder or may not
// be executed.
absl::StatusOr<Program> ResolveProgram(std::string_view typed,
                                       std::string_view folder,
                                       std::string_view path);

// `text` as an absolute path below `folder`, without "." and "..". Symbolic
// links stay: they are followed at each start.
std::string AbsolutePath(std::string_view text, std::string_view folder);

}  // namespace apm::ctl
