#include "agent/config/worker_fields.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/config/log_options.h"
#include "agent/config/names.h"
#include "agent/config/paths.h"
#include "agent/config/quantity.h"
#include "agent/config/utf8.h"

namespace apm::config {
namespace {

constexpr size_t kMaxListeners = 64;
constexpr size_t kMaxValues = 4096;  // Of params, env, trusted.

// Linux refuses a single argument or variable over 32 pages (execve(2)).
constexpr size_t kMaxTextBytes = size_t{128} << 10;

// Collects what BuildWorker finds; one per call.
class Builder {
 public:
  Builder(const WorkerFields& fields, const WorkerContext& context,
          std::vector<FieldProblem>& problems)
      : fields_(fields), context_(context), problems_(problems) {}

  WorkerConfig Build() {
    worker_.path = context_.folder;
    SetName();
    SetPath();
    SetExec();
    SetParams();
    SetEnv();
    SetListeners();
    SetInstances();
    SetRestart();
    SetStop();
    SetTrust();
    SetSocketMode();
    SetAccessLog();
    SetLog();
    SetUser("user", fields_.user, worker_.user);
    SetUser("group", fields_.group, worker_.group);
    return std::move(worker_);
  }

 private:
  void Problem(std::string_view field, size_t index, std::string message,
               std::string hint = "") {
    problems_.push_back({field, index, std::move(message), std::move(hint)});
  }

  void BadValue(std::string_view field, std::string_view value,
                std::string hint, size_t index = 0) {
    Problem(field, index,
            absl::StrFormat("bad value '%s' for '%s'", Quotable(value), field),
            std::move(hint));
  }

  // What execve can take at all.
  bool IsPassable(std::string_view field, size_t index, std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
      Problem(field, index,
              absl::StrFormat("a value of '%s' contains a NUL byte", field));
      return false;
    }
    if (text.size() >= kMaxTextBytes) {
      Problem(field, index,
              absl::StrFormat("a value of '%s' has %d bytes; the limit is %d",
                              field, text.size(), kMaxTextBytes - 1));
      return false;
    }
    return true;
  }

  bool IsCountAllowed(std::string_view field, size_t count, size_t limit) {
    if (count <= limit) return true;
    Problem(field, limit,
            absl::StrFormat("'%s' has %d values; the limit is %d", field, count,
                            limit));
    return false;
  }

  void SetName() {
    if (fields_.name.empty()) {
      Problem("name", 0, "'name' is missing", "add: name NAME;");
      return;
    }
    if (!IsWorkerName(fields_.name)) {
      BadValue("name", fields_.name,
               "use letters, digits, '_', '.' and '-', first a letter or "
               "digit, at most 63 in all");
      return;
    }
    worker_.name = fields_.name;
  }

  void SetPath() {
    if (fields_.path.empty() || !IsPassable("path", 0, fields_.path)) return;
    worker_.path = ResolvePath(fields_.path, context_.folder);
  }

  void SetExec() {
    if (fields_.exec.empty()) {
      Problem("exec", 0, "'exec' is missing",
              "add: exec PROGRAM; with a full path, or a name to look up in "
              "PATH");
      return;
    }
    if (!IsPassable("exec", 0, fields_.exec)) return;
    const bool is_path = fields_.exec.find('/') != std::string::npos;
    worker_.exec =
        is_path ? ResolvePath(fields_.exec, worker_.path) : fields_.exec;
  }

  void SetParams() {
    if (!IsCountAllowed("params", fields_.params.size(), kMaxValues)) return;
    for (size_t i = 0; i < fields_.params.size(); ++i) {
      if (!IsPassable("params", i, fields_.params[i])) return;
    }
    worker_.params = fields_.params;
  }

  void SetEnv() {
    if (!IsCountAllowed("env", fields_.env.size(), kMaxValues)) return;
    for (size_t i = 0; i < fields_.env.size(); ++i) {
      const auto& [name, value] = fields_.env[i];
      if (!IsVariableName(name)) {
        Problem(
            "env", i,
            absl::StrFormat("bad variable name '%s', left out", Quotable(name)),
            "write: env NAME value; with letters, digits and '_'");
        continue;
      }
      if (!IsPassable("env", i, value)) continue;
      if (!worker_.env.insert_or_assign(name, value).second) {
        Problem("env", i,
                absl::StrFormat("variable '%s' is set twice", Quotable(name)),
                "keep one of them; the last one counts");
      }
    }
  }

  void SetListeners() {
    if (!IsCountAllowed("server", fields_.servers.size(), kMaxListeners)) {
      return;
    }
    for (size_t i = 0; i < fields_.servers.size(); ++i) {
      absl::StatusOr<ListenAddress> address = ParseListenAddress(
          fields_.servers[i], context_.address_form, worker_.path);
      if (address.ok()) {
        AddListener(*std::move(address), i);
      } else {
        Problem("server", i, std::string(address.status().message()));
      }
    }
  }

  // http and ws of one place are one listener.
  void AddListener(ListenAddress address, size_t index) {
    for (ListenAddress& other : worker_.listeners) {
      if (!Clash(other, address)) continue;
      if (FormatAddress(other) != FormatAddress(address)) {
        Problem("server", index,
                absl::StrFormat("'%s' overlaps with '%s' of the same worker",
                                address.text, other.text),
                "keep the one for all addresses");
        return;
      }
      other.http |= address.http;
      other.ws |= address.ws;
      if (other.text != address.text) other.text += ", " + address.text;
      return;
    }
    worker_.listeners.push_back(std::move(address));
  }

  void SetInstances() {
    if (fields_.instances.empty()) return;
    if (fields_.instances == "max") {
      worker_.instances = std::max(context_.cpu_count, 1);
      return;
    }
    const auto count = ParseCount(fields_.instances, kMaxInstances);
    if (!count || *count == 0) {
      BadValue(
          "instances", fields_.instances,
          absl::StrFormat("use a number from 1 to %d, or max", kMaxInstances));
      return;
    }
    worker_.instances = static_cast<int>(*count);
  }

  void SetRestart() {
    const std::string& text = fields_.restart;
    if (text.empty()) return;
    if (text == "always" || text == "true") {
      worker_.restart = RestartPolicy::kAlways;
    } else if (text == "on-failure") {
      worker_.restart = RestartPolicy::kOnFailure;
    } else if (text == "never" || text == "false") {
      worker_.restart = RestartPolicy::kNever;
    } else {
      BadValue("restart", text, "use always, on-failure or never");
    }
  }

  void SetStop() {
    if (!fields_.stop_signal.empty()) {
      if (const auto number = ParseSignal(fields_.stop_signal)) {
        worker_.stop_signal = *number;
      } else {
        BadValue("stop_signal", fields_.stop_signal,
                 "use a name such as TERM, INT, QUIT, HUP or USR1");
      }
    }
    if (!fields_.stop_timeout.empty()) {
      if (const auto timeout = ParseDuration(fields_.stop_timeout)) {
        worker_.stop_timeout = *timeout;
      } else {
        BadValue("stop_timeout", fields_.stop_timeout,
                 "use a number with a unit: 500ms, 10s, 5m");
      }
    }
  }

  void SetTrust() {
    if (!fields_.trust_proxy.empty()) {
      if (const auto on = ParseSwitch(fields_.trust_proxy)) {
        worker_.trust_proxy = *on;
      } else {
        BadValue("trust_proxy", fields_.trust_proxy, "use true or false");
      }
    }
    worker_.trusted = {"127.0.0.0/8", "::1/128", "unix"};
    if (fields_.trusted.empty() ||
        !IsCountAllowed("trusted", fields_.trusted.size(), kMaxValues)) {
      return;
    }
    std::vector<std::string> trusted;
    for (size_t i = 0; i < fields_.trusted.size(); ++i) {
      const std::string& text = fields_.trusted[i];
      const auto network =
          text == "unix" ? std::optional(text) : ParseCidr(text);
      if (network) {
        trusted.push_back(*network);
      } else {
        BadValue("trusted", text,
                 "use an address, a network such as 10.0.0.0/8, or unix", i);
      }
    }
    if (!trusted.empty()) worker_.trusted = std::move(trusted);
  }

  void SetSocketMode() {
    if (fields_.socket_mode.empty()) return;
    if (const auto mode = ParseMode(fields_.socket_mode)) {
      worker_.socket_mode = *mode;
    } else {
      BadValue("socket_mode", fields_.socket_mode,
               "use octal permission bits such as 0660");
    }
  }

  void SetAccessLog() {
    const std::string& text = fields_.access_log;
    if (text.empty()) return;
    if (const auto on = ParseSwitch(text)) {
      worker_.access_log = *on;
    } else if (text == "-" || text.find('/') != std::string::npos) {
      Problem("access_log", 0,
              absl::StrFormat(
                  "a place of its own for 'access_log' ('%s') is not available "
                  "in this version",
                  Quotable(text)),
              "use on: the file is then logs/NAME.access.log in the daemon's "
              "state_dir");
    } else {
      BadValue("access_log", text, "use on or off");
    }
  }

  void SetLog() {
    const size_t before = problems_.size();
    LogConfig log = ReadLogOptions(
        fields_.log,
        [this](size_t index, std::string message, std::string hint) {
          Problem("log", index, std::move(message), std::move(hint));
        });
    // All or nothing, as for any other directive.
    if (problems_.size() == before) worker_.log = log;
  }

  void SetUser(std::string_view field, const std::string& text,
               std::string& out) {
    if (text.empty()) return;
    if (IsAccountName(text)) {
      out = text;
    } else {
      BadValue(field, text, "use a name of this host");
    }
  }

  const WorkerFields& fields_;
  const WorkerContext& context_;
  std::vector<FieldProblem>& problems_;
  WorkerConfig worker_;
};

}  // namespace

WorkerConfig BuildWorker(const WorkerFields& fields,
                         const WorkerContext& context,
                         std::vector<FieldProblem>& problems) {
  return Builder(fields, context, problems).Build();
}

absl::StatusOr<WorkerConfig> ValidateWorker(const WorkerFields& fields,
                                            const WorkerContext& context) {
  std::vector<FieldProblem> problems;
  WorkerConfig worker = BuildWorker(fields, context, problems);
  if (problems.empty()) return worker;
  std::string message;
  for (const FieldProblem& problem : problems) {
    if (!message.empty()) message += '\n';
    message += problem.message;
    if (!problem.hint.empty()) message += "; " + problem.hint;
  }
  return absl::InvalidArgumentError(message);
}

absl::Status CheckTogether(const WorkerConfig& worker,
                           const std::vector<WorkerConfig>& others) {
  for (const WorkerConfig& other : others) {
    if (other.name == worker.name) {
      return absl::AlreadyExistsError(
          absl::StrFormat("there is a worker '%s' already", worker.name));
    }
    for (const ListenAddress& address : worker.listeners) {
      for (const ListenAddress& taken : other.listeners) {
        if (!Clash(address, taken)) continue;
        return absl::AlreadyExistsError(
            absl::StrFormat("'%s' is taken by worker '%s' (%s)",
                            FormatAddress(address), other.name, taken.text));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace apm::config
