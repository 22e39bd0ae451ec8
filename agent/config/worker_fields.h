// A worker described by strings, as a worker block and the API both do, and
// the checks that turn it into a WorkerConfig. One set of checks for both.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/config.h"

namespace apm::config {

inline constexpr uint32_t kMaxInstances = 1024;  // Of one worker.

// As the directives of the same names; empty means not given.
struct WorkerFields {
  std::string name;
  std::string exec;
  std::vector<std::string> params;
  std::string path;  // Absolute, or below WorkerContext::folder.
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::string> servers;
  std::string instances;     // "4", "max"
  std::string restart;       // "always", "on-failure", "never", "true", "false"
  std::string stop_signal;   // "TERM", "SIGTERM", "15"
  std::string stop_timeout;  // "10s"
  std::string trust_proxy;   // "true", "false"
  std::vector<std::string> trusted;
  std::string socket_mode;       // "0660"
  std::string access_log;        // "on", "off"
  std::vector<std::string> log;  // "rotate", "size=20M", "format", "json"
  std::string user;
  std::string group;
};

// What the checks need to know about their surroundings.
struct WorkerContext {
  std::string folder = "/";  // Absolute: where a relative `path` starts, and
                             // its default.
  int cpu_count = 1;         // What `instances max` means.
  AddressForm address_form = AddressForm::kCommandLine;
};

struct FieldProblem {
  std::string_view field;  // The directive's name.
  size_t index = 0;        // Which of its values.
  std::string message;
  std::string hint;
};

// Builds the worker with the default in place of every bad value, and appends
// what was wrong to `problems`. Which of them a worker can run with is for the
// caller to decide, by the table in directives.h.
WorkerConfig BuildWorker(const WorkerFields& fields,
                         const WorkerContext& context,
                         std::vector<FieldProblem>& problems);

// The API's entrance, where nothing is repaired silently: kInvalidArgument
// with every problem, one a line.
absl::StatusOr<WorkerConfig> ValidateWorker(const WorkerFields& fields,
                                            const WorkerContext& context = {});

// Whether `worker` can exist beside `others`: kAlreadyExists if its name or
// one of its addresses is taken, naming by whom. Pass only other workers.
absl::Status CheckTogether(const WorkerConfig& worker,
                           const std::vector<WorkerConfig>& others);

}  // namespace apm::config
