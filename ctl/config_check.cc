// apmctl config check: the agent's own parser, in the agent's own program, so
// that both cannot disagree.

#include <errno.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "base/os/errno_status.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"

namespace apm::ctl {

ExitCode Run(const ConfigCheckCommand& command, const Globals& /*globals*/) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string agent = (self.parent_path() / "apm-agent").string();
  std::vector<std::string> words = {agent, "--check-config"};
  words.insert(words.end(), command.files.begin(), command.files.end());
  if (command.strict) words.push_back("--strict");

  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(agent.c_str(), argv.data());
  return ReportError(absl::FailedPreconditionError(
      absl::StrCat("run '", agent, "': ", ErrnoText(errno),
                   "; apmctl and apm-agent belong in one folder")));
}

}  // namespace apm::ctl
