// The control API's verbs: what is commanded is refused if it may not be,
// stored, and given to the supervisor.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/agent.h"
#include "agent/durable_answer.h"
#include "agent/kept_names.h"
#include "agent/run_as.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

constexpr int kFirstFreePort = 1024;

// What binds ports is root; what a member of allow_group may reach through it
// must not be more than what he may do himself.
absl::Status MayListen(const Caller& caller,
                       const config::WorkerConfig& config) {
  if (caller.admin) return absl::OkStatus();
  for (const config::ListenAddress& address : config.listeners) {
    const bool tcp = address.kind == config::AddressKind::kTcp4 ||
                     address.kind == config::AddressKind::kTcp6;
    if (!tcp || address.port == 0 || address.port >= kFirstFreePort) continue;
    return absl::PermissionDeniedError(absl::StrFormat(
        "ports below %d are for workers of root and of the agent's owner; use "
        "a higher one than %d",
        kFirstFreePort, address.port));
  }
  return absl::OkStatus();
}
}  // namespace

// ---- Commands ----

void Agent::Create(const Caller& caller, const config::WorkerFields& fields,
                   bool validate_only, bool wait,
                   ApiCallback<WorkerView> done) {
  absl::StatusOr<config::WorkerConfig> config = config::ValidateWorker(fields);
  if (!config.ok()) return done(config.status());
  if (absl::Status may = MayListen(caller, *config); !may.ok()) {
    return done(std::move(may));
  }
  // Names and groups come from the user database, which may block.
  background_.Post([this, config = *std::move(config), caller, validate_only,
                    wait, done = std::move(done)] {
    std::optional<store::Owner> owner;
    if (config.user.empty() && caller.uid != setup_.daemon_user.uid) {
      owner = store::Owner{caller.uid, caller.gid,
                           DescribeUid(caller.uid, caller.gid).name};
    }
    absl::StatusOr<RunAs> run_as =
        owner ? RunAs{DescribeUid(owner->uid, owner->gid), true}
              : ResolveRunAs(config, setup_.daemon_user);
    loop_.Post([this, config, owner = std::move(owner),
                run_as = std::move(run_as), validate_only, wait,
                done]() mutable {
      if (absl::IsNotFound(run_as.status())) {  // A user, not a worker.
        run_as = absl::InvalidArgumentError(run_as.status().message());
      }
      if (!run_as.ok()) return done(run_as.status());
      CreateResolved(config, *std::move(run_as), std::move(owner),
                     validate_only, wait, std::move(done));
    });
  });
}

void Agent::CreateResolved(const config::WorkerConfig& config, RunAs run_as,
                           std::optional<store::Owner> owner,
                           bool validate_only, bool wait,
                           ApiCallback<WorkerView> done) {
  if (validate_only) {
    WorkerView view;
    view.config = config;
    return done(std::move(view));
  }
  if (deleted_.contains(config.name)) {
    return done(absl::AlreadyExistsError(absl::StrFormat(
        "worker '%s' is in the configuration and was deleted by command; bring "
        "it back with: apmctl config apply, or choose another name",
        config.name)));
  }
  store::DesiredWorker desired;
  desired.name = config.name;
  desired.source = store::Source::kApi;
  desired.definition = config;
  desired.owner = std::move(owner);
  const absl::StatusOr<WorkerRecord*> admitted =
      Admit(std::move(desired), std::move(run_as),
            /*keep_when_bind_fails=*/false);
  if (!admitted.ok()) return done(admitted.status());
  event_writer_->Say(events::type::kWorkerCreated, events::Severity::kInfo,
                     config.name, "is created");
  Run(&supervisor::Supervisor::Start, {config.name, std::nullopt}, wait,
      AfterStored(**admitted, [name = config.name, done = std::move(done)](
                                  absl::StatusOr<WorkerView> view) {
        if (absl::IsFailedPrecondition(view.status())) {
          view = absl::FailedPreconditionError(absl::StrFormat(
              "%s; it stays in the list: look with apmctl logs %s, remove "
              "it with apmctl delete %s",
              view.status().message(), name, name));
        }
        done(std::move(view));
      }));
}

ApiCallback<WorkerView> Agent::AfterStored(const WorkerRecord& record,
                                           ApiCallback<WorkerView> done) {
  auto answer = std::make_shared<DurableAnswer<WorkerView>>(std::move(done));
  Save({record.desired}, {},
       [answer](const absl::Status& stored) { answer->OnStored(stored); });
  return [answer](absl::StatusOr<WorkerView> view) {
    answer->OnDone(std::move(view));
  };
}

void Agent::Start(std::string_view name, bool wait,
                  ApiCallback<WorkerView> done) {
  RunStart(&supervisor::Supervisor::Start, name, wait, /*clear_stopped=*/true,
           std::move(done));
}

void Agent::Stop(std::string_view name, bool wait,
                 ApiCallback<WorkerView> done) {
  const absl::StatusOr<supervisor::Target> target = ParseTarget(name);
  if (!target.ok()) return done(target.status());
  WorkerRecord& record = records_.find(target->worker)->second;
  if (target->instance) {
    record.desired.stopped_instances.insert(*target->instance);
  } else {
    record.desired.stopped = true;
    record.desired.stopped_instances.clear();
  }
  Run(&supervisor::Supervisor::Stop, *target, wait,
      AfterStored(record, std::move(done)));
}

void Agent::Restart(std::string_view name, bool wait,
                    ApiCallback<WorkerView> done) {
  RunStart(&supervisor::Supervisor::Restart, name, wait,
           /*clear_stopped=*/true, std::move(done));
}

void Agent::Reload(std::string_view name, bool wait,
                   ApiCallback<WorkerView> done) {
  const std::string worker(name.substr(0, name.find('/')));
  const auto before = supervisor_->Find(worker);
  // Of a worker that is stopped there is nothing to reload: a mistake of the
  // caller's, and not news of the worker.
  const bool runs =
      before && before->state != supervisor::WorkerState::kStopped;
  RunStart(&supervisor::Supervisor::Reload, name, wait,
           /*clear_stopped=*/false,
           [this, worker, runs,
            done = std::move(done)](absl::StatusOr<WorkerView> view) {
             if (view.ok()) {
               event_writer_->Say(events::type::kWorkerReloaded,
                                  events::Severity::kInfo, worker,
                                  "is reloaded");
             } else if (runs && absl::IsFailedPrecondition(view.status())) {
               event_writer_->Say(events::type::kWorkerReloadFailed,
                                  events::Severity::kError, worker,
                                  std::string(view.status().message()));
             }
             done(std::move(view));
           });
}

void Agent::RunStart(Command command, std::string_view name, bool wait,
                     bool clear_stopped, ApiCallback<WorkerView> done) {
  const absl::StatusOr<supervisor::Target> target = ParseTarget(name);
  if (!target.ok()) return done(target.status());
  WorkerRecord& record = records_.find(target->worker)->second;
  const absl::Status opened = OpenListeners(record);
  if (!opened.ok()) return done(opened);
  if (clear_stopped && ClearStopped(record.desired, target->instance)) {
    done = AfterStored(record, std::move(done));
  }
  Run(command, *target, wait, std::move(done));
}

// Whether that changed anything.
bool Agent::ClearStopped(store::DesiredWorker& desired,
                         std::optional<uint32_t> instance) {
  const store::DesiredWorker before = desired;
  if (!instance) {
    desired.stopped_instances.clear();
  } else {
    if (desired.stopped) {  // The others stay as they are.
      for (uint32_t i = 0; i < desired.instance_ids.size(); ++i) {
        desired.stopped_instances.insert(i);
      }
    }
    desired.stopped_instances.erase(*instance);
  }
  desired.stopped = false;
  return !(before == desired);
}

void Agent::Run(Command command, const supervisor::Target& target, bool wait,
                ApiCallback<WorkerView> done) {
  const std::string worker = target.worker;
  if (!wait) {
    (supervisor_.get()->*command)(target, [](const absl::Status&) {});
    return done(Get(worker));
  }
  (supervisor_.get()->*command)(
      target, [this, worker, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(Get(worker));
      });
}

void Agent::Scale(std::string_view name, uint32_t instances, bool wait,
                  ApiCallback<WorkerView> done) {
  const absl::StatusOr<supervisor::Target> target = ParseTarget(name);
  if (!target.ok()) return done(target.status());
  if (target->instance) {
    return done(absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is one instance; scale the worker: apmctl scale %s N", name,
        target->worker)));
  }
  const std::string& worker = target->worker;
  WorkerRecord& record = records_.find(worker)->second;
  const uint32_t before = record.instances();
  SetInstances(record.desired, instances);
  AssignInstanceIds(record.desired);
  done = AfterStored(record, std::move(done));
  event_writer_->Say(
      events::type::kWorkerScaled, events::Severity::kInfo, worker,
      absl::StrFormat("is scaled from %d to %d instances", before, instances));
  supervisor_->Scale(worker, instances,
                     [this, worker, wait, done](absl::Status status) {
                       if (!wait) return;
                       if (!status.ok()) return done(std::move(status));
                       done(Get(worker));
                     });
  if (!wait) done(Get(worker));
}

// For a worker of the configuration that is an overlay, for others it is what
// they are from now on.
void Agent::SetInstances(store::DesiredWorker& desired, uint32_t instances) {
  const int wanted = static_cast<int>(instances);
  if (desired.source == store::Source::kApi) {
    desired.definition.instances = wanted;
  }
  desired.instances = desired.definition.instances == wanted
                          ? std::nullopt
                          : std::optional(instances);
}

void Agent::Delete(std::string_view name, ApiCallback<DeleteReport> done) {
  const absl::StatusOr<supervisor::Target> target = ParseTarget(name);
  if (!target.ok()) return done(target.status());
  if (target->instance.has_value()) {
    return done(absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is one instance and cannot be deleted alone; delete the worker: "
        "apmctl delete %s",
        name, target->worker)));
  }
  const std::string& worker = target->worker;
  WorkerRecord& record = records_.find(worker)->second;
  // If this agent is killed on the way, the next one goes on with it.
  record.desired.deleting = true;
  auto answer = std::make_shared<DurableAnswer<DeleteReport>>(std::move(done));
  Save({record.desired}, {},
       [answer](const absl::Status& stored) { answer->OnStored(stored); });
  killed_.try_emplace(worker);
  Remove(worker, [this, worker, answer](const absl::Status& status) {
    auto killed = killed_.extract(worker);
    if (!status.ok()) return answer->OnFailed(status);
    DeleteReport report;
    if (!killed.empty()) report.survivors = std::move(killed.mapped());
    answer->OnDone(std::move(report));
  });
}

void Agent::UpgradeKeeper(ApiCallback<UpgradeReport> done) {
  upgrades_.push_back(std::move(done));
  if (upgrades_.size() == 1) keeper_.Reexec();
}

// ---- Shutdown ----

void Agent::Shutdown(ApiCallback<ShutdownReport> done) {
  log::Info("stopping all workers");
  shutting_down_ = true;  // What is wanted stays as it is stored.
  // If this agent is killed on the way, the next one goes on with it.
  keeper_.PutState(kDaemonNoteName, kDaemonStops);
  for (auto& [name, record] : records_) {
    listeners_.Close(record);
    killed_.try_emplace(name);
  }
  supervisor_->StopAll([this, done = std::move(done)](const absl::Status&) {
    ShutdownReport report;
    report.workers_stopped = static_cast<uint32_t>(records_.size());
    for (auto& [name, killed] : std::exchange(killed_, {})) {
      std::ranges::move(killed, std::back_inserter(report.survivors));
    }
    log::Info("all workers have stopped");
    done(std::move(report));
    // In a later turn, so that the answer is on its way.
    loop_.RunAfter(absl::ZeroDuration(), [this] { EndProcess(0); });
  });
}

}  // namespace apm::agent
