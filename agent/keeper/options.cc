#include "agent/keeper/options.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/status/status_macros.h"

namespace apm::keeper {
namespace {

constexpr std::string_view kSystemLogFile = "/var/log/apm.log";

struct Known {
  std::string_view name;
  bool has_value;
  bool repeatable;
  bool for_agent;
};

constexpr Known kKnown[] = {
    {"--config", true, true, true},
    {"--socket", true, false, true},
    {"--state-dir", true, false, true},
    {"--log-file", true, false, true},
    {"--pid-file", true, false, false},
    {"--system", false, true, true},
    {"--help", false, true, false},
    {"--version", false, true, false},
    {kStateFdOption, true, false, false},
    {kCheckStateOption, false, false, false},
};

absl::Status WrongUsage(std::string_view before, std::string_view name,
                        std::string_view after) {
  std::string message(before);
  message.append(" '").append(name).append("'").append(after);
  return absl::InvalidArgumentError(message);
}

absl::Status Apply(const Known& known, const std::string& value,
                   Options& options) {
  if (known.name == kStateFdOption) {
    const char* end = value.data() + value.size();
    const auto [rest, error] =
        std::from_chars(value.data(), end, options.state_fd);
    if (error == std::errc() && rest == end && options.state_fd > 2) {
      return absl::OkStatus();
    }
    return WrongUsage("option", known.name, " needs a descriptor");
  }
  if (known.name == kCheckStateOption) {
    options.check_state = true;
    return absl::OkStatus();
  }
  std::string arg(known.name);
  if (known.has_value) arg.append("=").append(value);
  if (known.for_agent) options.agent_args.push_back(arg);
  options.args.push_back(std::move(arg));
  if (known.name == "--state-dir") options.state_dir = value;
  if (known.name == "--log-file") options.log_file = value;
  if (known.name == "--pid-file") options.pid_file = value;
  if (known.name == "--system") options.system = true;
  if (known.name == "--help") options.help = true;
  if (known.name == "--version") options.version = true;
  return absl::OkStatus();
}

// The value of the option that `args` begins with; drops both from `args`.
absl::StatusOr<std::string> TakeValue(const Known& known,
                                      std::span<const char* const>& args) {
  const std::string_view arg = args.front();
  args = args.subspan(1);
  const bool joined = arg.size() > known.name.size();
  if (!known.has_value) {
    if (joined) return WrongUsage("option", known.name, " has no value");
    return "";
  }
  std::string value;
  if (joined) {
    value = arg.substr(known.name.size() + 1);
  } else if (!args.empty()) {
    value = args.front();
    args = args.subspan(1);
  }
  if (value.empty()) return WrongUsage("option", known.name, " needs a value");
  return value;
}

}  // namespace

absl::StatusOr<Options> ParseOptions(std::span<const char* const> args) {
  Options options;
  std::set<std::string_view> seen;
  while (!args.empty()) {
    const std::string_view arg = args.front();
    if (!arg.starts_with('-'))
      return WrongUsage("argument", arg, " is unknown");
    const std::string_view name = arg.substr(0, arg.find('='));
    const auto* known = std::ranges::find(kKnown, name, &Known::name);
    if (known == std::end(kKnown)) {
      return WrongUsage("option", name, " is unknown");
    }
    if (!seen.insert(name).second && !known->repeatable) {
      return WrongUsage("option", name, " is given twice");
    }
    APM_ASSIGN_OR_RETURN(const std::string value, TakeValue(*known, args));
    APM_RETURN_IF_ERROR(Apply(*known, value, options));
  }
  if (options.check_state && options.state_fd < 0) {
    return WrongUsage("option", kCheckStateOption, " checks no state");
  }
  if (options.system && options.state_dir.empty() &&
      !seen.contains("--log-file")) {
    APM_RETURN_IF_ERROR(
        Apply(*std::ranges::find(kKnown, "--log-file", &Known::name),
              std::string(kSystemLogFile), options));
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
