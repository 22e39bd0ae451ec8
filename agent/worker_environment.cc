#include "agent/worker_environment.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "agent/config/config.h"
#include "agent/user_database.h"

namespace apm::agent {
namespace {

constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr char kProtocolVersion[] = "1";

}  // namespace

EnvironmentBase CaptureEnvironment(std::string connectors,
                                   std::string version) {
  EnvironmentBase base;
  // NOLINTBEGIN(concurrency-mt-unsafe): before other threads start.
  const char* path = getenv("PATH");
  base.path = path != nullptr && *path != '\0' ? path : kDefaultPath;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const std::string_view name = variable.substr(0, variable.find('='));
    if (name == "LANG" || name == "TZ" || name.starts_with("LC_")) {
      base.locale[std::string(name)] = variable.substr(name.size() + 1);
    }
  }
  // NOLINTEND(concurrency-mt-unsafe)
  base.connectors = std::move(connectors);
  base.version = std::move(version);
  return base;
}

std::string_view SearchPath(const EnvironmentBase& base,
                            const config::WorkerConfig& worker) {
  const auto own = worker.env.find("PATH");
  return own != worker.env.end() ? own->second : base.path;
}

std::vector<std::string> BuildEnvironment(const EnvironmentBase& base,
                                          const config::WorkerConfig& worker,
                                          const Identity& identity,
                                          uint32_t instance,
                                          uint32_t instance_id) {
  std::map<std::string, std::string> env = base.locale;
  env["PATH"] = base.path;
  env["HOME"] = identity.home;
  env["PWD"] = worker.path;
  if (!identity.name.empty()) {
    env["USER"] = identity.name;
    env["LOGNAME"] = identity.name;
  }
  if (!identity.shell.empty()) env["SHELL"] = identity.shell;
  // What programs written for PM2's cluster look at.
  env["NODE_APP_INSTANCE"] = absl::StrCat(instance);
  env["PM2_INSTANCE_ID"] = absl::StrCat(instance);
  for (const auto& [name, value] : worker.env) env[name] = value;

  env["APM_INDEX"] = absl::StrCat(instance);
  env["APM_NAME"] = worker.name;
  env["APM_WORKER_ID"] = absl::StrCat(instance_id);
  env["APM_VERSION"] = base.version;
  if (!worker.listeners.empty()) env["APM_PROTOCOL"] = kProtocolVersion;
  if (!base.connectors.empty()) env["APM_CONNECTORS"] = base.connectors;

  std::vector<std::string> out;
  out.reserve(env.size());
  for (const auto& [name, value] : env) {
    out.push_back(absl::StrCat(name, "=", value));
  }
  return out;
}

}  // namespace apm::agent
