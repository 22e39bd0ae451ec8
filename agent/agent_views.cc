// What the control API is shown: which worker is meant, and how it is.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/agent.h"
#include "agent/worker_view.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::agent {
namespace {

absl::Status NoSuchWorker(const config::Config& config, std::string_view name) {
  for (const config::DisabledWorker& worker : config.disabled) {
    if (worker.name != name) continue;
    return absl::NotFoundError(absl::StrFormat(
        "worker '%s' is disabled by errors in '%s'; see them with: apmctl "
        "config check '%s'",
        name, worker.source.file, worker.source.file));
  }
  return absl::NotFoundError(absl::StrFormat(
      "no worker '%s'; list what there is with: apmctl list", name));
}

}  // namespace

// ---- Lookup ----

absl::StatusOr<LogFile> Agent::FindLog(std::string_view name) {
  APM_ASSIGN_OR_RETURN(const supervisor::Target target, ParseTarget(name));
  LogFile file;
  file.worker = target.worker;
  file.path = logs_->Path(target.worker);
  if (target.instance.has_value()) {
    file.instance = static_cast<int>(*target.instance);
  }
  return file;
}

absl::StatusOr<supervisor::Target> Agent::ParseTarget(
    std::string_view name) const {
  supervisor::Target target;
  const size_t slash = name.find('/');
  target.worker = std::string(name.substr(0, slash));
  const auto record = records_.find(target.worker);
  if (record == records_.end())
    return NoSuchWorker(setup_.config, target.worker);
  if (slash == std::string_view::npos) return target;
  uint32_t index = 0;
  const std::string_view digits = name.substr(slash + 1);
  if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()),
                        &index) ||
      index >= record->second.instances()) {
    return absl::NotFoundError(absl::StrFormat(
        "worker '%s' has no instance '%s'; it has %d, numbered from 0",
        target.worker, digits, record->second.instances()));
  }
  target.instance = index;
  return target;
}

// ---- Views ----

AgentStatus Agent::Status() {
  AgentStatus status;
  status.version = kVersion;
  status.agent_pid = getpid();
  status.keeper_pid = keeper_pid_;
  status.proxy_pid = proxy_pid_;
  status.started = started_;
  status.socket = setup_.socket;
  status.state_dir = setup_.state_dir;
  status.log_file = setup_.log_file;
  status.config_files = setup_.config_files;
  status.warnings = setup_.warnings;
  status.agent_incarnation = incarnation_;
  if (!not_durable_.empty()) status.warnings.push_back(not_durable_);
  if (proxy_pid_ == 0) {
    status.warnings.push_back(
        "the proxy is not running; the keeper starts it again: see the log");
  } else if (!proxy_warning_.empty()) {
    status.warnings.push_back(absl::StrFormat("proxy: %s", proxy_warning_));
  }
  for (const supervisor::WorkerSnapshot& worker : supervisor_->Snapshot()) {
    ++status.workers;
    for (const supervisor::InstanceSnapshot& instance : worker.instances) {
      ++status.instances;
      if (instance.state == supervisor::InstanceState::kReady) {
        ++status.instances_ready;
      }
    }
  }
  return status;
}

absl::StatusOr<WorkerView> Agent::Get(std::string_view name) {
  APM_ASSIGN_OR_RETURN(const supervisor::Target target, ParseTarget(name));
  const std::optional<supervisor::WorkerSnapshot> snapshot =
      supervisor_->Find(target.worker);
  if (!snapshot.has_value()) return NoSuchWorker(setup_.config, target.worker);
  return View(records_.find(target.worker)->second, *snapshot);
}

std::vector<WorkerView> Agent::List() {
  std::vector<WorkerView> views;
  for (const supervisor::WorkerSnapshot& snapshot : supervisor_->Snapshot()) {
    const auto record = records_.find(snapshot.name);
    if (record != records_.end())
      views.push_back(View(record->second, snapshot));
  }
  return views;
}

WorkerView Agent::View(const WorkerRecord& record,
                       const supervisor::WorkerSnapshot& snapshot) {
  std::vector<ProcessUsage> usage;
  const absl::Duration now = clock_.Monotonic();
  for (const supervisor::InstanceSnapshot& instance : snapshot.instances) {
    const uint64_t ticks = launcher_.StartTicks(
        {snapshot.name, instance.index, instance.generation});
    usage.push_back(usage_.Look(instance.pid, ticks, now));
  }
  TrafficCounters counters = counters_->Read(record.counter_slot);
  counters.log_lines_dropped = logs_->Stats(snapshot.name).dropped_lines;
  return ViewWorker({record, snapshot, std::move(usage), counters,
                     [&](uint32_t instance) -> std::string {
                       const auto errors =
                           logs_->RecentErrors(snapshot.name, instance);
                       return errors.empty() ? "" : errors.back();
                     }});
}
}  // namespace apm::agent
