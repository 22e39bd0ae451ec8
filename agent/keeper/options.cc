#include "agent/keeper/options.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace apm::keeper {
namespace {

struct Known {
  std::string_view name;
  bool has_value;
  bool repeatable;
  bool for_agent;
};

constexpr Known kKnown[] = {
    {"--config", true, true, true},     {"--socket", true, false, true},
    {"--state-dir", true, false, true}, {"--log-file", true, false, true},
    {"--pid-file", true, false, false}, {"--system", false, true, true},
    {"--help", false, true, false},     {"--version", false, true, false},
};

absl::Status WrongUsage(std::string_view before, std::string_view name,
                        std::string_view after) {
  std::string message(before);
  message.append(" '").append(name).append("'").append(after);
  return absl::InvalidArgumentError(message);
}

void Apply(const Known& known, const std::string& value, Options& options) {
  if (known.for_agent) {
    std::string arg(known.name);
    if (known.has_value) arg.append("=").append(value);
    options.agent_args.push_back(std::move(arg));
  }
  if (known.name == "--state-dir") options.state_dir = value;
  if (known.name == "--log-file") options.log_file = value;
  if (known.name == "--pid-file") options.pid_file = value;
  if (known.name == "--system") options.system = true;
  if (known.name == "--help") options.help = true;
  if (known.name == "--version") options.version = true;
}

}  // namespace

absl::StatusOr<Options> ParseOptions(std::span<const char* const> args) {
  Options options;
  bool seen[std::size(kKnown)] = {};
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (!arg.starts_with("-"))
      return WrongUsage("argument", arg, " is unknown");
    const size_t equals = arg.find('=');
    const std::string_view name = arg.substr(0, equals);
    const auto* known = std::ranges::find(kKnown, name, &Known::name);
    if (known == std::end(kKnown)) {
      return WrongUsage("option", name, " is unknown");
    }

    std::string value;
    if (!known->has_value) {
      if (equals != arg.npos)
        return WrongUsage("option", name, " has no value");
    } else {
      if (equals != arg.npos) {
        value = arg.substr(equals + 1);
      } else if (++i < args.size()) {
        value = args[i];
      }
      if (value.empty()) return WrongUsage("option", name, " needs a value");
    }

    bool& already = seen[known - kKnown];
    if (already && !known->repeatable) {
      return WrongUsage("option", name, " is given twice");
    }
    already = true;
    Apply(*known, value, options);
  }
  return options;
}

std::string DefaultPidFile(const Options& options, std::string_view home) {
  if (!options.state_dir.empty()) return options.state_dir + "/apm.pid";
  if (options.system) return "/root/.apm/apm.pid";
  if (!home.starts_with('/')) return "";
  return std::string(home) + "/.apm/apm.pid";
}

}  // namespace apm::keeper
