// The command line of apm-keeper.
//
// The keeper acts on --log-file, --pid-file and, for the default PID file,
// --state-dir and --system; what configures the agent it passes on unread.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::keeper {

inline constexpr std::string_view kUsage =
    "usage: apm-keeper [--config FILE]... [--socket @NAME|PATH]"
    " [--state-dir DIR]\n"
    "                  [--log-file FILE|-] [--pid-file FILE] [--system]\n"
    "       apm-keeper --help | --version\n"
    "\n"
    "Runs the agent in the foreground until SIGTERM or SIGINT.\n"
    "\n"
    "  --config FILE          read FILE; may be repeated\n"
    "  --socket @NAME|PATH    control socket (default: @apm)\n"
    "  --state-dir DIR        keep everything below DIR\n"
    "  --log-file FILE|-      append the log to FILE (default: -, stderr;\n"
    "                         with --system: /var/log/apm.log)\n"
    "  --pid-file FILE        default: DIR/apm.pid or ~/.apm/apm.pid\n"
    "  --system               use the folders of the system service\n";

// How a keeper is told to take over from the program that it replaces
// (reexec.h), or only to check whether it could. Not for people.
inline constexpr std::string_view kStateFdOption = "--state-fd";
inline constexpr std::string_view kCheckStateOption = "--check-state";

struct Options {
  std::vector<std::string> args;        // All but those two, "--name=value".
  std::vector<std::string> agent_args;  // Those that the agent needs.
  std::string log_file = "-";
  std::string pid_file;   // Empty: DefaultPidFile().
  std::string state_dir;  // Empty: none.
  bool system = false;
  int state_fd = -1;
  bool check_state = false;
  bool help = false;
  bool version = false;
};

// Reads the arguments after argv[0]; a value follows its option or an equals
// sign. kInvalidArgument, saying which argument is wrong.
absl::StatusOr<Options> ParseOptions(std::span<const char* const> args);

// Where the PID file is kept unless --pid-file says so. Empty if there is no
// `home` (the value of HOME) to keep it in.
std::string DefaultPidFile(const Options& options, std::string_view home);

}  // namespace apm::keeper
