// What the agent keeps about one worker beside the supervisor's state.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent_api.h"
#include "agent/config/config.h"
#include "agent/config/plan.h"
#include "agent/listeners/listener.h"
#include "agent/run_as.h"
#include "agent/store/desired_worker.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// A listening socket, and the number by which the proxy knows it.
struct OpenListener {
  uint32_t id = 0;   // StableId(name).
  std::string name;  // Of its copy with the keeper.
  listeners::BoundListener bound;
};

// A number for the proxy to know `name` by. The next agent, after a crash,
// gives the same name the same number, so that the proxy goes on with the
// connections it has. Never 0. Of two names the numbers may clash: check.
inline uint32_t StableId(std::string_view name) {
  uint32_t hash = 2166136261;  // FNV-1a.
  for (const char c : name) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  }
  return hash == 0 ? 1 : hash;
}

struct WorkerRecord {
  uint32_t id = 0;  // StableId(name), or the next free one.
  store::DesiredWorker desired;
  RunAs run_as;
  uint32_t counter_slot = 0;
  std::vector<OpenListener> listeners;
  std::string access_log_path;  // Empty: it has none.
  UniqueFd access_log;
  std::string bind_error;  // Why its listeners are not open; empty if they are.

  const std::string& name() const { return desired.name; }
  const config::WorkerConfig& config() const { return desired.definition; }
  bool pipe_mode() const { return !config().listeners.empty(); }
  uint32_t instances() const {
    return desired.instances.value_or(
        static_cast<uint32_t>(config().instances));
  }
  bool should_run(uint32_t instance) const {
    return !desired.stopped && !desired.deleting &&
           !desired.stopped_instances.contains(instance);
  }
};

// What commands changed against the definition.
inline config::Overlay OverlayOf(const store::DesiredWorker& desired) {
  config::Overlay overlay;
  overlay.stopped = desired.stopped;
  overlay.stopped_instances = desired.stopped_instances;
  overlay.deleted = desired.deleting;
  if (desired.instances) {
    overlay.instances = static_cast<int>(*desired.instances);
  }
  return overlay;
}

// Its configuration with the ports that the kernel picked where it says 0.
inline config::WorkerConfig AsBound(const WorkerRecord& record) {
  config::WorkerConfig config = record.config();
  config.instances = static_cast<int>(record.instances());
  for (size_t i = 0; i < record.listeners.size(); ++i) {
    config.listeners[i] = record.listeners[i].bound.address;
  }
  return config;
}

// By name.
using WorkerRecords = std::map<std::string, WorkerRecord, std::less<>>;

// The worker of that number; null if there is none.
inline WorkerRecord* FindById(WorkerRecords& records, uint32_t id) {
  for (auto& [name, record] : records) {
    if (record.id == id) return &record;
  }
  return nullptr;
}

}  // namespace apm::agent
