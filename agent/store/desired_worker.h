// What a user wants of this node: the workers, and what commands have changed
// about them since. Pure values; store.h keeps them.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "agent/config/config.h"

namespace apm::store {

enum class Source : uint8_t {
  kConfig,  // A configuration file: `config apply` may change or prune it.
  kApi,     // A command.
};

// Whom a worker that an operator made through the API runs as. The numbers
// count; the name is for people, and may have been renamed since.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user;

  bool operator==(const Owner&) const = default;
};

struct DesiredWorker {
  std::string name;
  Source source = Source::kConfig;
  config::WorkerConfig definition;  // As it was validated, whole.
  std::optional<Owner> owner;

  // By index. An id is never used again, so this never shrinks while the
  // worker lives, not even when it is scaled down.
  std::vector<uint32_t> instance_ids;

  // Overlays: what commands said against the definition. They survive a
  // restart; `config apply` clears those of a config worker.
  bool stopped = false;                  // apmctl stop web
  std::set<uint32_t> stopped_instances;  // apmctl stop web/0
  std::optional<uint32_t> instances;     // apmctl scale web 4

  // A delete has begun, and is finished after a crash. A config worker stays
  // in this state, so that it is not made again before `config apply`.
  bool deleting = false;

  // When a command or an apply last changed it; set by Store::Save.
  absl::Time changed = absl::UnixEpoch();

  bool operator==(const DesiredWorker&) const = default;
};

struct DesiredState {
  std::vector<DesiredWorker> workers;  // In the order they were first saved.

  // 16 hex digits, made with the state and kept as long as it is.
  std::string daemon_id;

  // Above every id in the `instance_ids` of every worker ever saved. Store
  // keeps count of it; the reader goes on from here.
  uint32_t next_instance_id = 1;

  // There was no state before: the first start, or what was there is lost
  // (`warnings` says so).
  bool created = false;

  // What a person should know: a database moved aside as corrupt, a worker
  // that could not be read, a state that cannot be written.
  std::vector<std::string> warnings;
};

}  // namespace apm::store
