// apmctl save and resurrect: what other process managers need, and scripts
// written for them call.

#include <stdio.h>

#include <string>

#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"

namespace apm::ctl {
namespace {

ExitCode Explain(const std::string& reason, const Globals& globals) {
  fputs(
      (globals.output == Output::kJson ? NotNeededJson(reason) : reason + "\n")
          .c_str(),
      stdout);
  return ExitCode::kDone;
}

}  // namespace

ExitCode Run(const SaveCommand& /*command*/, const Globals& globals) {
  return Explain(
      "nothing to save: every change is on disk before its command returns",
      globals);
}

ExitCode Run(const ResurrectCommand& /*command*/, const Globals& globals) {
  return Explain(
      "nothing to bring back: the agent starts every worker by itself, as it "
      "was left",
      globals);
}

}  // namespace apm::ctl
