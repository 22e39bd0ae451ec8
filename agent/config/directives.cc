#include "agent/config/directives.h"

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_format.h>

#include "agent/config/suggest.h"
#include "agent/config/utf8.h"

namespace apm::config {
namespace {

constexpr Context kTop = Context::kTop;
constexpr Context kDaemon = Context::kDaemon;
constexpr Context kWorker = Context::kWorker;
constexpr Role kOptional = Role::kOptional;
constexpr Role kRequired = Role::kRequired;
constexpr Role kProtecting = Role::kProtecting;

// One of this version.
constexpr DirectiveSpec Has(Context context, std::string_view name,
                            std::string_view values,
                            std::string_view default_text, Role role,
                            Target target, std::string_view help) {
  return {context, name, values, default_text, role, target, "0.1", help};
}

// One of a later version.
constexpr DirectiveSpec Planned(Context context, std::string_view name,
                                std::string_view values,
                                std::string_view default_text,
                                std::string_view help) {
  return {context,           name, values, default_text, kOptional,
          Special::kPlanned, "",   help};
}

// clang-format off
constexpr DirectiveSpec kDirectives[] = {
    Has(kTop, kDaemonBlock, "{ }", "", kOptional, Special::kBlock, "The agent itself."),
    Has(kTop, kWorkerBlock, "{ }", "", kOptional, Special::kBlock, "A program to supervise."),
    Has(kTop, kIncludeDirective, "GLOB...", "", kOptional, Special::kInclude, "Reads other files at this place; relative to this file, sorted."),
    Has(kDaemon, kIncludeDirective, "GLOB...", "", kOptional, Special::kInclude, "Reads other files at this place; relative to this file, sorted."),
    Has(kWorker, kIncludeDirective, "GLOB...", "", kOptional, Special::kInclude, "Reads other files at this place; relative to this file, sorted."),

    Has(kDaemon, "allow_group", "GROUP...", "", kProtecting, &DaemonFields::allow_groups, "Members may operate workers with apmctl."),
    Has(kDaemon, "socket", "@NAME|PATH", "@apm", kProtecting, &DaemonFields::socket, "Where apmctl connects."),
    Has(kDaemon, "state_dir", "PATH", "", kOptional, &DaemonFields::state_dir, "Where state and logs are kept."),
    Has(kDaemon, "log_level", "debug|info|warning|error|off", "info", kOptional, &DaemonFields::log_level, "How much the agent logs."),
    Planned(kDaemon, "listen", "HOST:PORT", "", "Remote control over mutual TLS."),
    Planned(kDaemon, "tls_cert", "FILE", "", "Certificate for remote control."),
    Planned(kDaemon, "tls_key", "FILE", "", "Its key."),
    Planned(kDaemon, "tls_client_ca", "FILE", "", "Who may issue certificates to clients."),
    Planned(kDaemon, "tls_crl", "FILE", "", "Certificates that are revoked."),
    Planned(kDaemon, "role", "IDENTITY viewer|operator|admin", "", "What a remote identity may do."),
    Planned(kDaemon, "log_file", "FILE", "", "The agent's own log."),
    Planned(kDaemon, "log_format", "text|json", "text", "Its format."),
    Planned(kDaemon, "metrics", "HOST:PORT", "", "Listener of /metrics."),
    Planned(kDaemon, "web", "HOST:PORT", "", "Listener of the web API."),
    Planned(kDaemon, "gui", "HOST:PORT", "", "Listener of the dashboard."),
    Planned(kDaemon, "api_key_file", "FILE", "", "Keys of the web API."),
    Planned(kDaemon, "cors", "ORIGIN...", "off", "Origins that browsers may call the web API from."),
    Planned(kDaemon, "proxy_shards", "auto|N", "auto", "Threads of the proxy."),
    Planned(kDaemon, "user", "NAME", "apm", "Whom the proxy runs as."),
    Planned(kDaemon, "max_connections", "N", "20000", "Connections of all clients together."),
    Planned(kDaemon, "shutdown_timeout", "DURATION", "30s", "How long stopping may take."),
    Planned(kDaemon, "pid_file", "FILE", "", "Where the process id is written."),
    Planned(kDaemon, "env_allow", "NAME...", "HOME, USER, HOSTNAME, PATH, LANG", "Variables that a configuration may use."),
    Planned(kDaemon, "vanguard", "{ }", "", "The request firewall."),

    Has(kWorker, "name", "NAME", "", kRequired, &WorkerFields::name, "What the worker is called."),
    Has(kWorker, "exec", "PROGRAM", "", kRequired, &WorkerFields::exec, "The program: a path, or a name to look up in PATH."),
    Has(kWorker, "params", "WORD...", "", kOptional, &WorkerFields::params, "Its arguments, split as a shell does, without running one."),
    Has(kWorker, "path", "FOLDER", "the file's folder", kOptional, &WorkerFields::path, "Working directory; relative paths are below it."),
    Has(kWorker, "user", "NAME", "the owner of path", kProtecting, &WorkerFields::user, "Whom it runs as, where the agent is root."),
    Has(kWorker, "group", "NAME", "the user's", kProtecting, &WorkerFields::group, "Its group, where the agent is root."),
    Has(kWorker, "env", "NAME VALUE", "", kOptional, &WorkerFields::env, "Sets a variable of its environment; may be repeated."),
    Has(kWorker, "server", "ADDRESS...", "", kRequired, &WorkerFields::servers, "Where clients reach it: http:// or ws:// with host:port, unix:PATH or unix:@NAME."),
    Has(kWorker, "instances", "N|max", "1", kOptional, &WorkerFields::instances, "How many processes; max is one for each cpu."),
    Has(kWorker, "restart", "always|on-failure|never", "always", kOptional, &WorkerFields::restart, "Whether it is started again after it ended."),
    Has(kWorker, "stop_signal", "SIGNAL", "TERM", kOptional, &WorkerFields::stop_signal, "What asks it to end."),
    Has(kWorker, "stop_timeout", "DURATION", "10s", kOptional, &WorkerFields::stop_timeout, "How long it may take before SIGKILL."),
    Has(kWorker, "trust_proxy", "true|false", "false", kOptional, &WorkerFields::trust_proxy, "Believe a trusted peer's X-Forwarded-For."),
    Has(kWorker, "trusted", "NETWORK|unix...", "loopback, unix", kProtecting, &WorkerFields::trusted, "Which peers are believed."),
    Has(kWorker, "socket_mode", "MODE", "0660", kProtecting, &WorkerFields::socket_mode, "Permissions of its socket files."),
    Has(kWorker, "access_log", "on|off", "off", kProtecting, &WorkerFields::access_log, "One line a request, in state_dir/logs/NAME.access.log."),
    Has(kWorker, "log", "rotate size=SIZE age=DURATION keep=N|rate N/DURATION|format text|json", "rotate size=20M keep=5 format text", kOptional, &WorkerFields::log, "How its output is kept in state_dir/logs/NAME.log; may be repeated."),
    Planned(kWorker, "login_env", "on|off|interactive", "on when the user was switched", "The user's login shell environment."),
    Planned(kWorker, "env_file", "FILE", "", "Variables from a file."),
    Planned(kWorker, "mode", "pipe|http|socket|plain", "pipe with server", "How requests reach it."),
    Planned(kWorker, "port", "PORT|RANGE|auto", "auto", "The instance's own port, in mode http."),
    Planned(kWorker, "balance", "METHOD", "least_outstanding", "Which instance gets a request."),
    Planned(kWorker, "real_ip", "HEADER|proxy_protocol", "x-forwarded-for", "What tells the client's address."),
    Planned(kWorker, "success_codes", "N...", "0", "Exit codes that are no failure."),
    Planned(kWorker, "prevent_codes", "N...", "", "Exit codes after which it is not restarted."),
    Planned(kWorker, "backoff", "DURATION...", "100ms x2 max=30s jitter=20% reset=30s", "Pauses between restarts."),
    Planned(kWorker, "crash_loop", "N in DURATION", "10 in 5m", "When restarting slows down."),
    Planned(kWorker, "give_up", "on|off", "off", "Stop trying in a crash loop."),
    Planned(kWorker, "kill_scope", "group|cgroup", "group", "What a stop reaches."),
    Planned(kWorker, "ready", "spawn|frame|notify|fd|log|port|check", "spawn", "When it counts as ready."),
    Planned(kWorker, "start_timeout", "DURATION", "60s", "How long that may take."),
    Planned(kWorker, "check", "http|tcp|exec|grpc TARGET", "", "Health checks."),
    Planned(kWorker, "depends_on", "NAME...", "", "Workers to start first."),
    Planned(kWorker, "memory_limit", "SIZE", "", "Hard limit of memory."),
    Planned(kWorker, "memory_soft", "SIZE", "", "Soft limit of memory."),
    Planned(kWorker, "cpu_limit", "CPUS", "", "Limit of processor time."),
    Planned(kWorker, "pids_limit", "N", "", "Limit of processes."),
    Planned(kWorker, "rlimit", "NAME VALUE", "", "A resource limit."),
    Planned(kWorker, "nice", "N", "", "Scheduling priority."),
    Planned(kWorker, "oom_score", "N", "", "Who is killed first when memory ends."),
    Planned(kWorker, "max_requests", "N", "", "Recycle an instance after so many requests."),
    Planned(kWorker, "max_age", "DURATION", "", "Recycle an instance after a time."),
    Planned(kWorker, "idle_stop", "DURATION", "", "Stop when nothing is asked for."),
    Planned(kWorker, "watch", "PATH...", "off", "Restart when files change."),
    Planned(kWorker, "watch_ignore", "PATH...", "", "Files that do not count."),
    Planned(kWorker, "cron_restart", "CRON", "", "Restart at certain times."),
    Planned(kWorker, "schedule", "CRON", "", "Run at certain times."),
    Planned(kWorker, "overlap", "skip", "skip", "What happens if the last run goes on."),
    Planned(kWorker, "catch_up", "on|off", "off", "Run what was missed."),
    Planned(kWorker, "rolling", "{ }", "1 at a time", "How instances are replaced."),
    Planned(kWorker, "hooks", "{ }", "", "Commands around start and stop."),
    Planned(kWorker, "no_new_privs", "on|off", "off", "Sandbox: no new privileges."),
    Planned(kWorker, "seccomp", "PROFILE", "", "Sandbox: system calls."),
    Planned(kWorker, "read_only", "PATH...", "", "Sandbox: paths it cannot write."),
    Planned(kWorker, "private_tmp", "on|off", "off", "Sandbox: a /tmp of its own."),
    Planned(kWorker, "protect_home", "on|off", "off", "Sandbox: no home folders."),
    Planned(kWorker, "socket_user", "NAME", "the worker's user", "Owner of its socket files."),
    Planned(kWorker, "socket_group", "NAME", "the worker's group", "Group of its socket files."),
    Planned(kWorker, "tls", "{ }", "", "Certificates of its listeners."),
    Planned(kWorker, "limits", "{ }", "", "Sizes and timeouts of requests."),
    Planned(kWorker, "vanguard", "{ }", "", "The request firewall."),
};
// clang-format on

}  // namespace

std::span<const DirectiveSpec> AllDirectives() { return kDirectives; }

const DirectiveSpec* FindDirective(Context context, std::string_view name) {
  for (const DirectiveSpec& spec : kDirectives) {
    if (spec.context == context && spec.name == name) return &spec;
  }
  return nullptr;
}

bool IsTopBlock(std::string_view name) {
  return BlockContext(Context::kTop, name) != Context::kUnknown;
}

Context BlockContext(Context context, std::string_view name) {
  if (context != Context::kTop) return Context::kUnknown;
  if (name == kDaemonBlock) return Context::kDaemon;
  if (name == kWorkerBlock) return Context::kWorker;
  return Context::kUnknown;
}

std::string_view ContextPlace(Context context) {
  switch (context) {
    case Context::kTop:
      return "at the top of a file";
    case Context::kDaemon:
      return "in daemon { }";
    case Context::kWorker:
      return "in worker { }";
    case Context::kUnknown:
      return "in a block of its own";
  }
  return "";
}

std::string SuggestDirective(Context context, std::string_view name) {
  for (const DirectiveSpec& spec : kDirectives) {
    if (spec.name == name && spec.context != context) {
      return absl::StrFormat("it belongs %s", ContextPlace(spec.context));
    }
  }
  std::vector<std::string_view> here;
  for (const DirectiveSpec& spec : kDirectives) {
    if (spec.context == context) here.push_back(spec.name);
  }
  const auto nearest = Nearest(name, here);
  return nearest ? absl::StrFormat("did you mean '%s'?", *nearest) : "";
}

}  // namespace apm::config
