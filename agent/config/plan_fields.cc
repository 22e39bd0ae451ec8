// Which of three a field is: one that the agent or the proxy looks up when it
// needs it (nothing to do but to take the new value), one that listening
// sockets have, or one that a process learns at its start.

#include "agent/config/plan_fields.h"

#include <string.h>
#include <sys/types.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>

#include "agent/config/listen_address.h"
#include "agent/config/log_options.h"
#include "agent/config/utf8.h"

namespace apm::config {
namespace {

std::string Quoted(std::string_view text) { return "'" + Quotable(text) + "'"; }

std::string Text(const std::string& text) { return Quoted(text); }

std::string Text(const std::vector<std::string>& words) {
  return Quoted(absl::StrJoin(words, " "));
}

std::string Text(bool on) { return on ? "on" : "off"; }

std::string Text(RestartPolicy policy) {
  return std::string(RestartPolicyName(policy));
}

std::string Text(absl::Duration duration) {
  return absl::FormatDuration(duration);
}

std::string Text(const LogConfig& log) { return Quoted(FormatLog(log)); }

std::string SignalText(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat(signal) : name;
}

std::string ModeText(mode_t mode) { return absl::StrFormat("%04o", mode); }

// As clients write them, sorted: how an address was written, and in which
// order, does not make another listener.
std::vector<std::string> Urls(const std::vector<ListenAddress>& listeners) {
  std::vector<std::string> urls;
  for (const ListenAddress& listener : listeners) {
    std::ranges::move(FormatUrls(listener), std::back_inserter(urls));
  }
  std::ranges::sort(urls);
  return urls;
}

std::vector<std::string> Sorted(std::vector<std::string> values) {
  std::ranges::sort(values);
  return values;
}

std::string_view ModeName(const WorkerConfig& config) {
  return config.listeners.empty() ? "plain" : "pipe";
}

class Comparison {
 public:
  Comparison(const WorkerConfig& before, const WorkerConfig& after)
      : before_(before), after_(after) {}

  Differences Run() &&;

 private:
  // "exec '/a' -> '/b'", if they differ; whether they do.
  template <typename T>
  bool Value(std::string_view name, const T& before, const T& after) {
    if (before == after) return false;
    Change(name, Text(before), Text(after));
    return true;
  }

  void Change(std::string_view name, std::string_view before,
              std::string_view after) {
    result_.fields.push_back(
        absl::StrFormat("%s %s -> %s", name, before, after));
  }

  bool Environment(const std::map<std::string, std::string>& before,
                   const std::map<std::string, std::string>& after);

  // "trusted 10.0.0.0/8 added". REQUIRES: both are sorted.
  bool List(std::string_view name, const std::vector<std::string>& before,
            const std::vector<std::string>& after);

  const WorkerConfig& before_;
  const WorkerConfig& after_;
  Differences result_;
};

Differences Comparison::Run() && {
  // A field that is new in WorkerConfig stops the build here: say below what a
  // change of it asks for.
  const auto& [name, exec, params, path, env, listeners, instances, restart,
               stop_signal, stop_timeout, trust_proxy, trusted, socket_mode,
               access_log, log, user, group, source] = after_;
  ChangeSteps& steps = result_.steps;

  // What a process learns at its start. `|=`, for each has words to add.
  steps.replace |= Value("exec", before_.exec, exec);
  steps.replace |= Value("params", before_.params, params);
  steps.replace |= Value("path", before_.path, path);
  steps.replace |= Environment(before_.env, env);
  steps.replace |= Value("user", before_.user, user);
  steps.replace |= Value("group", before_.group, group);
  // Which signal ends it well is the program's: one that was started under the
  // old definition may not handle the new one.
  if (before_.stop_signal != stop_signal) {
    Change("stop_signal", SignalText(before_.stop_signal),
           SignalText(stop_signal));
    steps.replace = true;
  }
  if (before_.listeners.empty() != listeners.empty()) {
    Change("mode", ModeName(before_), ModeName(after_));
    steps.replace = true;
    steps.at_once = true;
  }

  // What listening sockets have.
  steps.listeners = List("server", Urls(before_.listeners), Urls(listeners));
  if (before_.socket_mode != socket_mode) {
    Change("socket_mode", ModeText(before_.socket_mode), ModeText(socket_mode));
    steps.socket_mode = true;
  }

  // What is looked up when it is needed.
  Value("restart", before_.restart, restart);
  Value("stop_timeout", before_.stop_timeout, stop_timeout);
  Value("trust_proxy", before_.trust_proxy, trust_proxy);
  List("trusted", Sorted(before_.trusted), Sorted(trusted));
  Value("access_log", before_.access_log, access_log);
  Value("log", before_.log, log);
  return std::move(result_);
}

bool Comparison::Environment(const std::map<std::string, std::string>& before,
                             const std::map<std::string, std::string>& after) {
  const size_t known = result_.fields.size();
  for (const auto& [name, value] : before) {
    const auto now = after.find(name);
    if (now == after.end()) {
      result_.fields.push_back(absl::StrCat("env ", name, " removed"));
    } else if (now->second != value) {
      result_.fields.push_back(absl::StrCat("env ", name, " changed"));
    }
  }
  for (const auto& [name, value] : after) {
    if (before.contains(name)) continue;
    result_.fields.push_back(absl::StrCat("env ", name, " added"));
  }
  return result_.fields.size() > known;
}

bool Comparison::List(std::string_view name,
                      const std::vector<std::string>& before,
                      const std::vector<std::string>& after) {
  std::vector<std::string> removed;
  std::vector<std::string> added;
  std::ranges::set_difference(before, after, std::back_inserter(removed));
  std::ranges::set_difference(after, before, std::back_inserter(added));
  for (const std::string& value : removed) {
    result_.fields.push_back(absl::StrFormat("%s %s removed", name, value));
  }
  for (const std::string& value : added) {
    result_.fields.push_back(absl::StrFormat("%s %s added", name, value));
  }
  return !removed.empty() || !added.empty();
}

}  // namespace

Differences Compare(const WorkerConfig& before, const WorkerConfig& after) {
  return Comparison(before, after).Run();
}

}  // namespace apm::config
