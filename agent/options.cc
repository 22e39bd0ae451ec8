#include "agent/options.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>

#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

// Takes options and their values off the front of an argument list.
class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& args) : args_(args) {}

  bool AtEnd() const { return next_ == args_.size(); }

  // The next option's name; "--name=value" leaves the value for Value().
  std::string TakeName() {
    const std::string& arg = args_[next_++];
    inline_value_.reset();
    const size_t equals = arg.find('=');
    if (!arg.starts_with("--") || equals == std::string::npos) return arg;
    inline_value_ = arg.substr(equals + 1);
    return arg.substr(0, equals);
  }

  absl::StatusOr<std::string> Value(std::string_view name) {
    if (inline_value_.has_value()) return *inline_value_;
    if (AtEnd()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("option '%s' needs a value; see --help", name));
    }
    return args_[next_++];
  }

 private:
  const std::vector<std::string>& args_;
  size_t next_ = 0;
  std::optional<std::string> inline_value_;
};

absl::Status ParseOne(const std::string& name, Arguments& args,
                      Options& options) {
  if (name == "--help" || name == "-h") {
    options.help = true;
  } else if (name == "--version") {
    options.version = true;
  } else if (name == "--system") {
    options.system = true;
  } else if (name == "--strict") {
    options.strict = true;
  } else if (name == "--check-config") {
    options.check_config = true;
  } else if (name == "--config") {
    APM_ASSIGN_OR_RETURN(options.config_files.emplace_back(), args.Value(name));
  } else if (name == "--socket") {
    APM_ASSIGN_OR_RETURN(options.socket, args.Value(name));
  } else if (name == "--state-dir") {
    APM_ASSIGN_OR_RETURN(options.state_dir, args.Value(name));
  } else if (name == "--log-file") {
    APM_ASSIGN_OR_RETURN(options.log_file, args.Value(name));
  } else if (name == "--pid-file") {
    // The keeper's own; it passes its whole command line on.
    return args.Value(name).status();
  } else if (name == "--keeper-fd") {
    APM_ASSIGN_OR_RETURN(const std::string value, args.Value(name));
    if (!absl::SimpleAtoi(value, &options.keeper_fd) || options.keeper_fd < 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--keeper-fd '%s' is not a descriptor", value));
    }
  } else if (!name.starts_with("-") && options.check_config) {
    options.config_files.push_back(name);
  } else {
    return absl::InvalidArgumentError(
        absl::StrFormat("unknown option '%s'; see --help", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args) {
  Options options;
  Arguments rest(args);
  while (!rest.AtEnd()) {
    const std::string name = rest.TakeName();
    APM_RETURN_IF_ERROR(ParseOne(name, rest, options));
  }
  return options;
}

const char* OptionsHelp() {
  return "usage: apm-agent --check-config [--strict] FILE...\n"
         "       apm-agent --keeper-fd N [--config FILE]... "
         "[--socket @NAME|PATH]\n"
         "                 [--state-dir DIR] [--log-file FILE|-] [--system]\n"
         "\n"
         "The first form checks configuration files: exit 1 on errors, 0 on\n"
         "warnings (--strict: 1). The second is how apm-keeper starts it; "
         "start\nan agent with apm-keeper.\n";
}

}  // namespace apm::agent
