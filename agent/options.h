// The command line of apm-agent: what apm-keeper was given, passed on, and
// what only the keeper says.

#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::agent {

struct Options {
  std::vector<std::string> config_files;  // In order; empty: the defaults.
  std::string socket;     // Empty: of the configuration, else "@apm".
  std::string state_dir;  // Empty: of the configuration, else ~/.apm.
  std::string log_file = "-";
  bool system = false;
  int keeper_fd = -1;  // -1: not started by a keeper.

  // --check-config FILE...: prints the diagnostics and exits.
  bool check_config = false;
  bool strict = false;  // Warnings fail the check as well.
  bool help = false;
  bool version = false;
};

// kInvalidArgument names the argument and the accepted form.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args);

// For --help.
const char* OptionsHelp();

}  // namespace apm::agent
