// The environment that a worker is started with: rebuilt from configuration
// at every start, never inherited from an earlier run.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/user_database.h"

namespace apm::agent {

// What every worker of this agent shares.
struct EnvironmentBase {
  std::string path;  // PATH
  std::map<std::string, std::string>
      locale;              // LANG, LC_*, TZ as the agent has.
  std::string connectors;  // APM_CONNECTORS; empty: not installed.
  std::string version;     // APM_VERSION
};

// From this process's environment. Thread: main, before others start.
EnvironmentBase CaptureEnvironment(std::string connectors, std::string version);

// "NAME=value" strings, sorted by name. `env` of the configuration wins over
// everything but APM_*.
std::vector<std::string> BuildEnvironment(const EnvironmentBase& base,
                                          const config::WorkerConfig& worker,
                                          const Identity& identity,
                                          uint32_t instance,
                                          uint32_t instance_id);

// The PATH that BuildEnvironment() gives: to look up `exec` in.
std::string_view SearchPath(const EnvironmentBase& base,
                            const config::WorkerConfig& worker);

}  // namespace apm::agent
