// apmctl, also installed as apm: the command line of the node agent.

#include <stdio.h>
#include <unistd.h>

#include <variant>

#include "ctl/command_line.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"

int main(int argc, char** argv) {
  using namespace apm::ctl;
  const auto parsed = ParseCommandLine(argc, argv);
  const auto* line = std::get_if<CommandLine>(&parsed);
  const ExitCode code = line == nullptr
                            ? std::get<ExitCode>(parsed)
                            : std::visit(
                                  [&](const auto& command) {
                                    return Run(command, line->globals);
                                  },
                                  line->command);
  // A full disk or a reader that has gone: the output is not what was asked.
  const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
  // Without the destructors of static objects: gRPC's wait for its threads.
  _exit(static_cast<int>(!written && code == ExitCode::kDone ? ExitCode::kFailed
                                                             : code));
}
