// The environment that a worker is started with: rebuilt from configuration
// at every start, never inherited from an earlier run.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/supervisor/instance_key.h"
#include "agent/user_database.h"

namespace apm::agent {

// What every worker of this agent shares.
struct EnvironmentBase {
  std::string path;  // PATH
  std::map<std::string, std::string>
      locale;              // LANG, LC_*, TZ as the agent has.
  std::string connectors;  // APM_CONNECTORS; empty: not installed.
  std::string version;     // APM_VERSION
  std::string daemon_id;   // 16 hex digits; empty: no APM_PROCESS is set.
};

// Whose process it is, as APM_PROCESS says in its environment and in that of
// every process it starts: "<daemon id>/<worker>/<instance>/<generation>". By
// this a sweep finds what a worker left behind (agent/process_sweep.h).
inline constexpr std::string_view kProcessTagVariable = "APM_PROCESS";

struct ProcessTag {
  std::string daemon_id;
  supervisor::InstanceKey key;

  friend bool operator==(const ProcessTag&, const ProcessTag&) = default;
};
std::string FormatProcessTag(const ProcessTag& tag);

bool IsDaemonId(std::string_view text);  // 16 hex digits, lower case.

// Empty for what FormatProcessTag cannot have written.
std::optional<ProcessTag> ParseProcessTag(std::string_view text);

// From this process's environment. Thread: main, before others start.
EnvironmentBase CaptureEnvironment(std::string connectors, std::string version);

// "NAME=value" strings, sorted by name. `env` of the configuration wins over
// everything but APM_*.
std::vector<std::string> BuildEnvironment(const EnvironmentBase& base,
                                          const config::WorkerConfig& worker,
                                          const Identity& identity,
                                          uint32_t instance,
                                          uint32_t instance_id,
                                          uint64_t generation);

// The PATH that BuildEnvironment() gives: to look up `exec` in.
std::string_view SearchPath(const EnvironmentBase& base,
                            const config::WorkerConfig& worker);

}  // namespace apm::agent
