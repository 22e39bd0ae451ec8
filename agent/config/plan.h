// What has to be done so that the workers of the configuration agree with its
// files: the plan of `apmctl config apply`. Pure: nothing is looked up, bound
// or started here, so the same plan is what --dry-run shows.
//
// Workers of the API are never touched. Whether the files are good enough to
// be applied is the caller's to judge (HasErrors); still, what a block with
// errors names is not gone, and nothing is deleted on its account.

#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config/config.h"

namespace apm::config {

// What commands changed against a worker's definition. Kept over restarts;
// applying the configuration undoes it.
struct Overlay {
  bool stopped = false;
  std::set<uint32_t> stopped_instances = {};  // Those alone.
  bool deleted = false;  // It has no processes and is not listed.
  std::optional<int> instances = std::nullopt;  // Scaled to.

  bool operator==(const Overlay&) const = default;
};

// For people: "stopped", "instance 1 stopped", "instances 4 -> 8". Without what
// changes nothing.
std::vector<std::string> DescribeOverlay(const WorkerConfig& definition,
                                         const Overlay& overlay);

// A worker that there is.
struct CurrentWorker {
  WorkerConfig definition;  // As last applied; not as bound, not as scaled.
  bool from_files = true;   // False: of the API.
  Overlay overlay = {};
};

// What a change asks for; what is false stays as it is. Everything else of the
// definition (restart policy, trust, log settings ...) is a new value in the
// agent's and the proxy's tables.
struct ChangeSteps {
  // A process learns it at its start only: each has to be replaced by one that
  // is started anew. Gently, one by one, unless `at_once`.
  bool replace = false;
  // Pipe and plain mode cannot run side by side: stop all, then start.
  bool at_once = false;
  bool listeners = false;    // Some are to be opened, closed, or both.
  bool socket_mode = false;  // Of unix sockets that stay open.
  bool scale = false;        // From what runs to wanted->instances.
  bool start = false;        // What was stopped or deleted by command.

  bool operator==(const ChangeSteps&) const = default;
};

struct PlannedChange {
  enum class Action : uint8_t {
    kCreate,
    kUpdate,   // In place: no process is replaced.
    kRolling,  // Processes are replaced: steps.replace.
    kDelete,
    kOverlay,  // The definition is the same; commands are undone.
    kOrphan,   // Gone from the files and left as it is, for want of `prune`.
  };

  std::string worker;
  Action action = Action::kCreate;
  std::optional<WorkerConfig> wanted;  // But for kDelete and kOrphan.
  ChangeSteps steps;                   // But for kCreate, kDelete, kOrphan.
  // What differs, in words: "exec '/a' -> '/b'", "env PORT added", "instances
  // 2 -> 4". Never the value of a variable: it may be a secret.
  std::vector<std::string> fields;
  // Why nothing may be done about it, and the ways out; empty if it may.
  std::string refusal;
};

// By worker; empty if all agree already. REQUIRES: names are unique within
// `current` and within `wanted.workers`.
std::vector<PlannedChange> Plan(const std::vector<CurrentWorker>& current,
                                const Config& wanted, bool prune);

}  // namespace apm::config
