// apmctl version: of apmctl itself; the agent's is in `apmctl status`.

#include "base/version.h"

#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"

namespace apm::ctl {

ExitCode Run(const VersionCommand& /*command*/, const Globals& globals) {
  if (globals.output == Output::kJson) {
    fputs(VersionJson(kVersion).c_str(), stdout);
  } else {
    printf("apmctl %s\n", kVersion);
  }
  return ExitCode::kDone;
}

}  // namespace apm::ctl
