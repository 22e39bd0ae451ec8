// apmctl version: of apmctl itself; the agent's is in `apmctl status`.

#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"

namespace apm::ctl {

ExitCode Run(const VersionCommand& /*command*/, const Globals& globals) {
  if (globals.output == Output::kJson) {
    fputs(VersionJson(APM_VERSION).c_str(), stdout);
  } else {
    puts("apmctl " APM_VERSION);
  }
  return ExitCode::kDone;
}

}  // namespace apm::ctl
