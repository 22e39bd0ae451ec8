// What each command does; one file each, in the order of `apmctl --help`.

#pragma once

#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace apm::ctl {

ExitCode Run(const PingCommand& command, const Globals& globals);
ExitCode Run(const StatusCommand& command, const Globals& globals);
ExitCode Run(const RunCommand& command, const Globals& globals);
ExitCode Run(const ListCommand& command, const Globals& globals);
ExitCode Run(const InfoCommand& command, const Globals& globals);
ExitCode Run(const LogsCommand& command, const Globals& globals);
ExitCode Run(const EventsCommand& command, const Globals& globals);
ExitCode Run(const OperateCommand& command, const Globals& globals);
ExitCode Run(const ConfigCheckCommand& command, const Globals& globals);
ExitCode Run(const KillCommand& command, const Globals& globals);
ExitCode Run(const VersionCommand& command, const Globals& globals);

}  // namespace apm::ctl
