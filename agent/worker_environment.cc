#include "agent/worker_environment.h"

#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
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
constexpr size_t kDaemonIdDigits = 16;

// Digits as StrCat writes them: no sign, no leading zero.
template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() ||
      text.front() == '-' || (text.front() == '0' && text.size() > 1)) {
    return std::nullopt;
  }
  return number;
}

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

bool IsDaemonId(std::string_view text) {
  return text.size() == kDaemonIdDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string FormatProcessTag(const ProcessTag& tag) {
  return absl::StrCat(tag.daemon_id, "/", tag.key.worker, "/", tag.key.instance,
                      "/", tag.key.generation);
}

std::optional<ProcessTag> ParseProcessTag(std::string_view text) {
  // From the right: a name is whatever stands between the first and the last
  // two slashes.
  const size_t first = text.find('/');
  const size_t last = text.rfind('/');
  if (first != kDaemonIdDigits || last == first) return std::nullopt;
  const size_t middle = text.rfind('/', last - 1);
  if (middle <= first + 1) return std::nullopt;

  ProcessTag tag;
  tag.daemon_id = text.substr(0, first);
  tag.key.worker = text.substr(first + 1, middle - first - 1);
  const auto instance =
      ParseNumber<uint32_t>(text.substr(middle + 1, last - middle - 1));
  const auto generation = ParseNumber<uint64_t>(text.substr(last + 1));
  if (!IsDaemonId(tag.daemon_id) || !instance || !generation) {
    return std::nullopt;
  }
  tag.key.instance = *instance;
  tag.key.generation = *generation;
  return tag;
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
                                          uint32_t instance_id,
                                          uint64_t generation) {
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
  // A worker that could choose its tag could have others killed for it.
  const std::string tag_variable(kProcessTagVariable);
  env.erase(tag_variable);
  if (!base.daemon_id.empty()) {
    env[tag_variable] =
        FormatProcessTag({base.daemon_id, {worker.name, instance, generation}});
  }

  std::vector<std::string> out;
  out.reserve(env.size());
  for (const auto& [name, value] : env) {
    out.push_back(absl::StrCat(name, "=", value));
  }
  return out;
}

}  // namespace apm::agent
