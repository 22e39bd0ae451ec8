// Where an agent's files are (ARCHITECTURE.md, "Files on a host").

#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/options.h"

namespace apm::agent {

// This program's folder, and what lies beside it.
absl::StatusOr<std::string> ProgramFolder();

// The folder that workers get as APM_CONNECTORS: "connectors" beside the
// programs, or in ../share/apm. Empty if neither exists.
std::string FindConnectors(const std::string& program_folder);

// What "~" stands for, as in the keeper and in shells: HOME, else the folder
// of the user database.
std::string HomeFolder(const std::string& by_user_database);

// The files to load, absolute, in order: those of --config, which must exist;
// else the defaults that do. With --state-dir nothing outside of it is a
// default.
absl::StatusOr<std::vector<std::string>> ConfigFiles(const Options& options,
                                                     const std::string& home);

// The folder for state and logs; `configured` is the configuration's.
std::string StateDir(const Options& options, const std::string& configured,
                     const std::string& home);

// Where workers' log files are.
std::string LogDir(const Options& options, const std::string& state_dir);

// Creates `folder` (0700) and those above it if need be.
// kFailedPrecondition if it is there and others may write to it.
absl::Status MakePrivateFolder(const std::string& folder);

}  // namespace apm::agent
