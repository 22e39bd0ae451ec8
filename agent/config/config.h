// The configuration as values: every default filled in, every relative path
// made absolute. Built whole by load.h (files) or worker_fields.h (the API),
// and never changed afterwards.
//
// Names of users and groups stay names: resolving them is NSS, which may
// block. Whether a path exists is not looked at either: it may be there later.

#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/config/diagnostic.h"
#include "agent/config/listen_address.h"
#include "base/log/log.h"

namespace apm::config {

// daemon { }
struct DaemonConfig {
  std::vector<std::string> allow_groups;  // Names; their members are operators.
  std::string socket;     // "@apm" or an absolute path; empty: not given.
  std::string state_dir;  // Absolute; empty: not given.
  log::Level log_level = log::Level::kInfo;

  bool operator==(const DaemonConfig&) const = default;
};

enum class RestartPolicy : uint8_t { kAlways, kOnFailure, kNever };

std::string_view RestartPolicyName(RestartPolicy policy);  // "on-failure"

// log ...; of a worker
struct LogConfig {
  bool json = false;                        // Else text.
  uint64_t max_bytes = uint64_t{20} << 20;  // Of one file.
  absl::Duration max_age = absl::InfiniteDuration();
  int keep = 5;            // Rotated files.
  uint64_t max_lines = 0;  // In each `lines_per`; 0: no limit.
  absl::Duration lines_per;

  bool operator==(const LogConfig&) const = default;
};

// worker { }
struct WorkerConfig {
  std::string name;
  std::string exec;  // Absolute, or a name without '/' to look up in PATH.
  std::vector<std::string> params;         // argv[1..]
  std::string path;                        // Working directory, absolute.
  std::map<std::string, std::string> env;  // What the block sets, no more.
  std::vector<ListenAddress> listeners;    // Empty: a plain worker, no proxy.
  int instances = 1;
  RestartPolicy restart = RestartPolicy::kAlways;
  int stop_signal = SIGTERM;
  absl::Duration stop_timeout = absl::Seconds(10);
  bool trust_proxy = false;
  std::vector<std::string> trusted;  // "10.0.0.0/8", "::1/128", "unix".
  mode_t socket_mode = 0660;
  bool access_log = false;
  LogConfig log;
  std::string user;   // Empty: not given.
  std::string group;  // Empty: the user's.

  // Where the block is: not part of what the worker is, so not compared.
  struct Source {
    std::string file;  // Empty: not from a file.
    size_t line = 0;
    bool operator==(const Source&) const { return true; }
  } source;

  bool operator==(const WorkerConfig&) const = default;
};

// A worker whose block has errors. It is not started; what runs under its
// name is not gone from the configuration either.
struct DisabledWorker {
  std::string name;  // Empty if the block names none.
  WorkerConfig::Source source;
};

struct Config {
  DaemonConfig daemon;
  std::vector<WorkerConfig> workers;  // Usable ones, in the order of the files.
  std::vector<DisabledWorker> disabled;
  std::vector<Diagnostic> diagnostics;  // In the order of the files.
};

}  // namespace apm::config
