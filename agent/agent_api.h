// What the control API can ask of the agent, in domain types: the line
// between gRPC (agent/control) and the rest. Agent implements it; tests of
// agent/control use a fake.
//
// Thread: the agent's main loop, for calls (but events) and for callbacks.
// Control's gRPC threads reach it through EventLoop::Post. A callback runs
// exactly once, perhaps before the call returns; its Status carries the words
// for the user: what happened, to what, and the next step.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/config/config.h"
#include "agent/config/worker_fields.h"
#include "agent/store/desired_worker.h"
#include "agent/supervisor/stats.h"

namespace apm::events {
class EventLog;
}
namespace apm::logs {
class LogStore;
}

namespace apm::agent {

// Who asks; established by agent/control when the connection was accepted.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  bool admin = false;  // Root or the daemon's owner; else in allow_group.
};

struct AgentStatus {
  std::string version;
  pid_t agent_pid = 0;
  pid_t keeper_pid = 0;
  pid_t proxy_pid = 0;
  absl::Time started;
  std::string socket;
  std::string state_dir;
  std::string log_file;
  std::vector<std::string> config_files;
  std::vector<std::string> warnings;
  uint64_t agent_incarnation = 0;
  uint32_t workers = 0;
  uint32_t instances = 0;
  uint32_t instances_ready = 0;
};

// A snapshot of proxy::WorkerCounters, gauges resolved.
struct TrafficCounters {
  uint64_t requests = 0;
  uint64_t responses_by_class[5] = {};  // 1xx .. 5xx
  uint64_t responses_502 = 0;
  uint64_t responses_503 = 0;
  uint64_t responses_504 = 0;
  uint64_t websocket_opened = 0;
  uint64_t websocket_open = 0;
  uint64_t requests_in_flight = 0;
  uint64_t requests_queued = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t frames_in = 0;
  uint64_t frames_out = 0;
  uint64_t frames_bad = 0;
  uint64_t late_frames = 0;
  uint64_t stray_bytes = 0;
  uint64_t stray_dropped_bytes = 0;
  uint64_t log_lines_dropped = 0;
};

// Resources of one instance's process; zero while it does not run.
struct ProcessUsage {
  double cpu_percent = 0;  // Of one core, since the last look.
  uint64_t rss_bytes = 0;
};

using WorkerSource = store::Source;

// Everything about one worker at one moment.
struct WorkerView {
  uint32_t id = 0;
  WorkerSource source = WorkerSource::kApi;
  config::WorkerConfig config;
  supervisor::WorkerSnapshot state;
  std::vector<uint32_t> instance_ids;  // As state.instances.
  std::vector<ProcessUsage> usage;     // As state.instances.
  TrafficCounters counters;
  std::string problem;  // Why it is not ready and what to do; empty if it is.
  std::string access_log_file;  // Empty: it has none.
  // What commands changed against the definition: "stopped", "instances 4 ->
  // 8".
  std::vector<std::string> overlays;
  std::vector<std::string> warnings;  // Wrong, but not the worker's problem.
};

// Where a worker's log is; control reads its files on its own thread.
struct LogFile {
  std::string worker;
  std::string path;
  int instance = -1;  // -1: all.
};

struct DeleteReport {
  std::vector<std::string> survivors;  // "web/0 (pid 12)": had to be killed.
  std::vector<std::string> warnings;
};

// What one worker's part of an apply is.
struct ConfigChange {
  enum class Action : uint8_t {
    kCreate,
    kUpdate,   // In place: no process is replaced.
    kRolling,  // Its processes are replaced, one by one.
    kDelete,
    kOverlay,  // Nothing of the definition; commands are undone.
    kOrphan,   // Gone from the files, and left running.
  };
  std::string worker;
  Action action = Action::kCreate;
  std::vector<std::string> fields;  // What differs: "exec", "instances 2 -> 4".
  std::string error;                // Why it did not succeed.
};

struct ApplyReport {
  std::vector<ConfigChange> changes;  // By worker.
  std::vector<std::string> warnings;
};

struct UpgradeReport {
  std::string keeper_version;
  pid_t keeper_pid = 0;
  uint32_t processes_kept = 0;
  uint32_t descriptors_kept = 0;
};

struct ShutdownReport {
  uint32_t workers_stopped = 0;
  std::vector<std::string> survivors;
};

template <typename T>
using ApiCallback = std::function<void(absl::StatusOr<T>)>;

class AgentApi {
 public:
  virtual ~AgentApi() = default;

  virtual AgentStatus Status() = 0;

  // kNotFound if there is no such worker ("web", or "web/0" for the worker
  // of an instance).
  virtual absl::StatusOr<WorkerView> Get(std::string_view name) = 0;
  virtual std::vector<WorkerView> List() = 0;  // By name.

  // Adds a worker and starts it. kInvalidArgument, kAlreadyExists,
  // kFailedPrecondition (added, but it did not get ready; supervision goes
  // on). With `wait` false, answers when the first instance was launched.
  virtual void Create(const Caller& caller, const config::WorkerFields& fields,
                      bool validate_only, bool wait,
                      ApiCallback<WorkerView> done) = 0;
  virtual void Start(std::string_view name, bool wait,
                     ApiCallback<WorkerView> done) = 0;
  virtual void Stop(std::string_view name, bool wait,
                    ApiCallback<WorkerView> done) = 0;
  virtual void Restart(std::string_view name, bool wait,
                       ApiCallback<WorkerView> done) = 0;
  virtual void Reload(std::string_view name, bool wait,
                      ApiCallback<WorkerView> done) = 0;
  virtual void Delete(std::string_view name,
                      ApiCallback<DeleteReport> done) = 0;

  // At least 1. Answers when the new instances are ready and the others have
  // stopped.
  virtual void Scale(std::string_view name, uint32_t instances, bool wait,
                     ApiCallback<WorkerView> done) = 0;

  // Reads the configuration files again and makes what runs agree with them.
  // kFailedPrecondition, one line a problem, with nothing changed, if they
  // have errors or an address cannot be bound.
  virtual void ApplyConfig(bool prune, bool dry_run,
                           ApiCallback<ApplyReport> done) = 0;

  // Replaces the keeper's program in place.
  virtual void UpgradeKeeper(ApiCallback<UpgradeReport> done) = 0;

  virtual absl::StatusOr<LogFile> FindLog(std::string_view name) = 0;
  virtual logs::LogStore& logs() = 0;  // Any thread.

  // What has happened. Thread: any, while the control server runs.
  virtual events::EventLog& events() = 0;

  // Stops every worker; after `done` returned, the agent, proxy and keeper
  // end.
  virtual void Shutdown(ApiCallback<ShutdownReport> done) = 0;
};

}  // namespace apm::agent
