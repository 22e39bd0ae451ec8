#include "agent/supervisor/supervisor.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance.h"
#include "agent/supervisor/worker.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::supervisor {
namespace {

absl::Status NoWorker(std::string_view name) {
  return absl::NotFoundError(absl::StrFormat("no worker is named '%s'", name));
}

absl::Status BeingDeleted(std::string_view name) {
  return absl::FailedPreconditionError(
      absl::StrFormat("worker '%s' is being deleted", name));
}

}  // namespace

// Runs the callbacks of finished commands at the end of the outermost call:
// they may call us again, and find every machine at rest between two events.
class Supervisor::Turn {
 public:
  explicit Turn(Supervisor& supervisor) : supervisor_(supervisor) {
    ++supervisor_.turn_depth_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (supervisor_.turn_depth_ == 1) supervisor_.RunCompleted();
    --supervisor_.turn_depth_;
  }

 private:
  Supervisor& supervisor_;
};

Supervisor::Supervisor(Options options)
    : environment_(std::make_unique<Environment>(Environment{
          .timers = options.timers,
          .clock = options.clock,
          .processes = options.processes,
          .traffic = options.traffic,
          .observer = options.observer,
          .random = std::move(options.random),
          .next_generation = options.first_generation,
          .settle =
              [this](const std::string& worker) {
                const Turn turn(*this);
                Settle(worker);
              },
      })) {}

Supervisor::~Supervisor() {
  shut_down_ = true;  // For callbacks that would start something.
  const Turn turn(*this);
  for (const auto& [name, worker] : workers_) {
    worker->Abort(absl::AbortedError("the supervisor has ended"));
  }
  workers_.clear();
}

absl::Status Supervisor::Add(WorkerSpec spec) {
  if (shut_down_) return absl::UnavailableError("the agent is shutting down");
  if (spec.name.empty() || spec.instances == 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "worker '%s' needs a name and at least one instance", spec.name));
  }
  std::string name = spec.name;
  const auto [worker, is_new] = workers_.try_emplace(name);
  if (!is_new) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "worker '%s' exists already%s", name,
        worker->second->deleting() ? " and is being deleted" : ""));
  }
  worker->second = std::make_unique<Worker>(*environment_, std::move(spec));
  return absl::OkStatus();
}

absl::Status Supervisor::Update(WorkerSpec spec) {
  const auto found = workers_.find(spec.name);
  if (found == workers_.end()) return NoWorker(spec.name);
  Worker& worker = *found->second;
  if (worker.deleting()) return BeingDeleted(spec.name);
  if (spec.pipe_mode != worker.spec().pipe_mode) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "worker '%s' cannot change between plain and pipe mode while it "
        "exists; delete it first",
        spec.name));
  }
  worker.Update(std::move(spec));
  return absl::OkStatus();
}

absl::Status Supervisor::Restore(std::string_view worker, uint32_t instance,
                                 const InstanceMemo& memo) {
  const Turn turn(*this);
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return NoWorker(worker);
  found->second->Restore(instance, memo);
  return absl::OkStatus();
}

absl::Status Supervisor::Adopt(const AdoptedProcess& process) {
  const Turn turn(*this);
  const InstanceKey& key = process.key;
  const auto found = workers_.find(key.worker);
  if (found == workers_.end()) return NoWorker(key.worker);
  if (key.instance >= kMaxInstances) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "worker '%s' cannot have an instance %d", key.worker, key.instance));
  }
  found->second->Adopt(process);
  return absl::OkStatus();
}

absl::StatusOr<Worker*> Supervisor::Resolve(const Target& target) const {
  const auto found = workers_.find(target.worker);
  if (found == workers_.end()) return NoWorker(target.worker);
  const uint32_t instances = found->second->instances();
  if (target.instance && *target.instance >= instances) {
    return absl::NotFoundError(absl::StrFormat(
        "worker '%s' has no instance %d: its instances are 0 to %d",
        target.worker, *target.instance, instances - 1));
  }
  return found->second.get();
}

absl::StatusOr<Worker*> Supervisor::ResolveToStart(const Target& target) const {
  APM_ASSIGN_OR_RETURN(Worker* const worker, Resolve(target));
  if (shut_down_) return absl::UnavailableError("the agent is shutting down");
  if (worker->deleting()) return BeingDeleted(target.worker);
  return worker;
}

void Supervisor::Refuse(const absl::Status& status, Done done) {
  environment_->completed.emplace_back(std::move(done), status);
}

absl::Status Supervisor::Resume(const Target& target) {
  const Turn turn(*this);
  APM_ASSIGN_OR_RETURN(Worker* const worker, ResolveToStart(target));
  worker->Resume(target.instance);
  Settle(target.worker);
  return absl::OkStatus();
}

void Supervisor::Start(const Target& target, Done done) {
  const Turn turn(*this);
  const absl::StatusOr<Worker*> worker = ResolveToStart(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  (*worker)->Start(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Stop(const Target& target, Done done) {
  const Turn turn(*this);
  const absl::StatusOr<Worker*> worker = Resolve(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  (*worker)->Stop(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Restart(const Target& target, Done done) {
  const Turn turn(*this);
  const absl::StatusOr<Worker*> worker = ResolveToStart(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  (*worker)->Restart(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Reload(const Target& target, Done done) {
  const Turn turn(*this);
  const absl::StatusOr<Worker*> worker = ResolveToStart(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  (*worker)->Reload(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Scale(std::string_view name, uint32_t instances, Done done) {
  const Turn turn(*this);
  const Target target{std::string(name), std::nullopt};
  const absl::StatusOr<Worker*> worker = ResolveToStart(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  if (instances == 0 || instances > kMaxInstances) {
    return Refuse(absl::InvalidArgumentError(absl::StrFormat(
                      "worker '%s' can have 1 to %d instances, not %d", name,
                      kMaxInstances, instances)),
                  std::move(done));
  }
  (*worker)->Scale(instances, std::move(done));
  Settle(target.worker);
}

void Supervisor::Delete(std::string_view name, Done done) {
  const Turn turn(*this);
  const Target target{std::string(name), std::nullopt};
  const absl::StatusOr<Worker*> worker = Resolve(target);
  if (!worker.ok()) return Refuse(worker.status(), std::move(done));
  (*worker)->Delete(std::move(done));
  Settle(target.worker);
}

void Supervisor::StopAll(Done done) {
  const Turn turn(*this);
  shut_down_ = true;
  // Shared by the callbacks of all stops; the last one to finish reports.
  struct Progress {
    size_t left;
    absl::Status status;
    Done done;
  };
  auto progress = std::make_shared<Progress>(
      Progress{workers_.size() + 1, absl::OkStatus(), std::move(done)});
  const Done one_stopped = [progress](const absl::Status& status) {
    progress->status.Update(status);
    if (--progress->left == 0) progress->done(progress->status);
  };
  std::vector<std::string> names;  // Settle() may erase a worker.
  for (const auto& [name, worker] : workers_) names.push_back(name);
  for (const std::string& name : names) {
    Stop({name, std::nullopt}, one_stopped);
  }
  // One more than there are workers: with none, it is done now.
  environment_->completed.emplace_back(one_stopped, absl::OkStatus());
}

Instance* Supervisor::FindInstance(const InstanceKey& key) {
  const auto worker = workers_.find(key.worker);
  return worker == workers_.end() ? nullptr : worker->second->Find(key);
}

void Supervisor::OnSpawned(const InstanceKey& key, pid_t pid) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnSpawned(pid);
  Settle(key.worker);
}

void Supervisor::OnSpawnFailed(const InstanceKey& key, std::string_view step,
                               int error, std::string_view text) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnSpawnFailed(
      text.empty() ? absl::StrCat(std::string(step), ": ", ErrnoText(error))
                   : std::string(text));
  Settle(key.worker);
}

void Supervisor::OnExited(const InstanceKey& key, const ProcessExit& exit) {
  const Turn turn(*this);
  const auto worker = workers_.find(key.worker);
  if (worker != workers_.end()) worker->second->OnExited(key, exit);
  // A restart is on its way by now: it does not wait for the sweep.
  environment_->processes.Sweep(key);
  Settle(key.worker);
}

void Supervisor::OnHello(const InstanceKey& key, std::string_view connector) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnHello(connector);
  Settle(key.worker);
}

void Supervisor::OnDrained(const InstanceKey& key) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnDrained();
  Settle(key.worker);
}

void Supervisor::OnLinkLost(const InstanceKey& key) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnLinkLost();
  Settle(key.worker);
}

void Supervisor::OnLinkTorn(const InstanceKey& key) {
  const Turn turn(*this);
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnLinkTorn();
  Settle(key.worker);
}

void Supervisor::OnSwept(const InstanceKey& key,
                         std::span<const Survivor> survivors) {
  const Turn turn(*this);
  if (!survivors.empty()) environment_->observer.OnSurvivors(key, survivors);
  const auto worker = workers_.find(key.worker);
  if (worker == workers_.end()) return;
  worker->second->OnSwept(key);
  Settle(key.worker);
}

void Supervisor::Settle(const std::string& name) {
  const auto worker = workers_.find(name);
  if (worker == workers_.end()) return;
  worker->second->Settle();
  if (worker->second->gone()) workers_.erase(worker);
}

void Supervisor::RunCompleted() {
  while (!environment_->completed.empty()) {
    auto [done, status] = std::move(environment_->completed.front());
    environment_->completed.pop_front();
    done(std::move(status));
  }
}

std::vector<WorkerSnapshot> Supervisor::Snapshot() const {
  std::vector<WorkerSnapshot> snapshots;
  snapshots.reserve(workers_.size());
  for (const auto& [name, worker] : workers_) {
    snapshots.push_back(worker->Snapshot());
  }
  return snapshots;
}

std::optional<WorkerSnapshot> Supervisor::Find(std::string_view name) const {
  const auto worker = workers_.find(name);
  if (worker == workers_.end()) return std::nullopt;
  return worker->second->Snapshot();
}

}  // namespace apm::supervisor
