// Taking workers on and letting them go: what a worker has beside its
// processes.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/access_log_file.h"
#include "agent/agent.h"
#include "agent/log_policy.h"
#include "agent/run_as.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

// Names may contain dots: 'web.access' logs where 'web' would log requests.
bool AccessLogIsLogOf(const config::WorkerConfig& worker,
                      const config::WorkerConfig& other) {
  return worker.access_log && AccessLogName(worker.name) == other.name + ".log";
}

}  // namespace

supervisor::WorkerSpec SpecFor(const WorkerRecord& record) {
  const config::WorkerConfig& config = record.config();
  supervisor::WorkerSpec spec;
  spec.name = config.name;
  spec.instances = record.instances();
  spec.pipe_mode = record.pipe_mode();
  switch (config.restart) {
    case config::RestartPolicy::kAlways:
      spec.restart = supervisor::RestartPolicy::kAlways;
      break;
    case config::RestartPolicy::kOnFailure:
      spec.restart = supervisor::RestartPolicy::kOnFailure;
      break;
    case config::RestartPolicy::kNever:
      spec.restart = supervisor::RestartPolicy::kNever;
      break;
  }
  spec.stop_signal = config.stop_signal;
  spec.stop_timeout = config.stop_timeout;
  return spec;
}

void Agent::AssignInstanceIds(store::DesiredWorker& desired) {
  const uint32_t instances = desired.instances.value_or(
      static_cast<uint32_t>(desired.definition.instances));
  while (desired.instance_ids.size() < instances) {
    desired.instance_ids.push_back(next_instance_id_++);
  }
}

absl::StatusOr<RunAs> Agent::RunAsOf(
    const store::DesiredWorker& desired) const {
  if (desired.owner && desired.definition.user.empty()) {
    return RunAs{DescribeUid(desired.owner->uid, desired.owner->gid),
                 desired.owner->uid != setup_.daemon_user.uid};
  }
  return ResolveRunAs(desired.definition, setup_.daemon_user);
}

absl::StatusOr<WorkerRecord*> Agent::Admit(
    store::DesiredWorker desired, RunAs run_as, bool keep_when_bind_fails,
    std::optional<ListenerTable::Prepared> listeners) {
  const std::string name = desired.name;
  if (shutting_down_) return absl::UnavailableError("the agent is stopping");
  if (records_.contains(name)) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "worker '%s' exists; choose another name, or: apmctl delete %s", name,
        name));
  }
  std::vector<config::WorkerConfig> others;
  for (const auto& [other, record] : records_) {
    others.push_back(AsBound(record));
  }
  APM_RETURN_IF_ERROR(config::CheckTogether(desired.definition, others));
  AssignInstanceIds(desired);
  WorkerRecord record;
  record.desired = std::move(desired);
  record.run_as = std::move(run_as);
  record.id = StableId(name);
  while (FindById(records_, record.id) != nullptr || record.id == 0) {
    ++record.id;
  }
  APM_ASSIGN_OR_RETURN(record.counter_slot, counters_->TakeSlot(record.id));
  absl::Status ready;
  if (listeners) {
    listeners_.Commit(record, *std::move(listeners));
  } else if (record.desired.deleting) {
    // It serves nobody any more.
  } else if (const absl::Status opened = listeners_.Open(record);
             !opened.ok()) {
    record.bind_error = std::string(opened.message());
    // Whatever the kernel's reason, to the caller it is the host that has to
    // change first.
    if (!keep_when_bind_fails) {
      ready = absl::FailedPreconditionError(record.bind_error);
    }
  }
  if (ready.ok()) ready = OpenAccessLogOf(record);
  if (ready.ok()) ready = supervisor_->Add(SpecFor(record));
  if (!ready.ok()) {
    listeners_.Close(record);
    counters_->ReturnSlot(record.counter_slot);
    return ready;
  }
  logs_->Configure(name, LogPolicyOf(record.config().log));
  WorkerRecord& kept = records_[name] = std::move(record);
  if (booted_) {
    SendRoutes();
    Announce(kept);
  }
  return &kept;
}

absl::Status Agent::OpenAccessLogOf(WorkerRecord& record) {
  const std::string& name = record.name();
  for (const auto& [other_name, other] : records_) {
    if (other_name == name) continue;
    if (AccessLogIsLogOf(other.config(), record.config()) ||
        AccessLogIsLogOf(record.config(), other.config())) {
      return absl::AlreadyExistsError(absl::StrFormat(
          "workers '%s' and '%s' would write to one file, the log of one being "
          "the access log of the other; choose another name",
          name, other_name));
    }
  }
  record.access_log_path.clear();
  record.access_log.Reset();
  if (!record.config().access_log || !record.pipe_mode()) {
    return absl::OkStatus();
  }
  std::string path =
      absl::StrCat(setup_.state_dir, "/logs/", AccessLogName(name));
  APM_ASSIGN_OR_RETURN(record.access_log, OpenAccessLog(path));
  record.access_log_path = std::move(path);
  return absl::OkStatus();
}

absl::Status Agent::OpenListeners(WorkerRecord& record) {
  if (record.bind_error.empty() || shutting_down_) return absl::OkStatus();
  const absl::Status opened = listeners_.Open(record);
  if (!opened.ok()) {
    record.bind_error = std::string(opened.message());
    return absl::FailedPreconditionError(record.bind_error);
  }
  record.bind_error.clear();
  listeners_.Announce(record);
  return absl::OkStatus();
}

// ---- The end of a worker ----

void Agent::TakeDown(const std::string& name, supervisor::Done done) {
  const auto found = records_.find(name);
  if (found == records_.end()) return done(absl::OkStatus());
  // No new clients from now on; those that are connected get their answers.
  listeners_.Close(found->second);
  supervisor_->Delete(
      name, [this, name, done = std::move(done)](absl::Status status) {
        const auto record = records_.find(name);
        if (!status.ok() || record == records_.end()) {
          return done(std::move(status));
        }
        listeners_.Close(record->second);  // A start may have opened them.
        counters_->ReturnSlot(record->second.counter_slot);
        records_.erase(record);
        logs_->RemoveWorker(name);
        SendRoutes();
        done(absl::OkStatus());
      });
}

void Agent::Remove(const std::string& name, supervisor::Done done) {
  store::DesiredWorker desired = records_.find(name)->second.desired;
  TakeDown(name, [this, desired = std::move(desired),
                  done = std::move(done)](absl::Status status) {
    if (!status.ok()) return done(std::move(status));
    event_writer_->Say(events::type::kWorkerDeleted, events::Severity::kInfo,
                       desired.name, "is deleted");
    if (desired.source == store::Source::kConfig) {
      deleted_.insert_or_assign(desired.name, desired);
    } else {
      Save({}, {desired.name}, [](const absl::Status&) {});
    }
    done(absl::OkStatus());
  });
}

// ---- Durability ----

void Agent::Save(std::vector<store::DesiredWorker> changed,
                 std::vector<std::string> erased, store::Store::Done done) {
  store_->Save(std::move(changed), std::move(erased), std::move(done));
}

void Agent::OnDurabilityChanged(bool durable, const std::string& reason) {
  not_durable_ = durable ? "" : reason;
  if (durable && booted_) CompleteFirstBoot();
  if (event_writer_ == nullptr) {  // Still booting.
    if (!durable) log::Error("%s", reason);
    return;
  }
  if (durable) {
    event_writer_->Say(events::type::kStoreRecovered, events::Severity::kInfo,
                       "", "all changes are stored again");
  } else {
    event_writer_->Say(events::type::kStoreFailed, events::Severity::kError, "",
                       reason);
  }
}

// ---- The proxy's view ----

void Agent::SendRoutes() {
  std::vector<RouteSpec> routes;
  for (const auto& [name, record] : records_) {
    if (!record.pipe_mode()) continue;
    routes.push_back({record.id, name, record.counter_slot,
                      record.config().trust_proxy, record.config().trusted,
                      !record.access_log_path.empty()});
  }
  proxy_.SendSnapshot(routes);
}

void Agent::Announce(const WorkerRecord& record) {
  // First the log: the first request is to be in it.
  if (record.access_log) {
    proxy_.UseAccessLog(record.id, record.access_log.get());
  }
  listeners_.Announce(record);
}

void Agent::IntroduceToProxy() {
  if (!proxy_.connected()) return;
  counters_->BeginProxy(proxy_incarnation_);
  proxy_.SendCounters(counters_->fd(), counters_->slots());
  proxy_.SendLinkRecords(links_.records());
  SendRoutes();
  // The links first: a client that connects finds its worker.
  const size_t torn = links_.TakeOver(proxy_incarnation_);
  if (torn > 0) {
    log::Warning(
        "%d links were torn when the proxy died: their workers are "
        "started anew",
        torn);
  }
  for (const auto& [name, record] : records_) Announce(record);
}

}  // namespace apm::agent
