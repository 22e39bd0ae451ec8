#include "agent/supervisor/supervisor.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance.h"
#include "agent/supervisor/worker.h"
#include "base/os/errno_status.h"

namespace apm::supervisor {

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

Worker* Supervisor::Resolve(const Target& target, const Done& done) {
  const auto worker = workers_.find(target.worker);
  if (worker == workers_.end()) {
    environment_->completed.emplace_back(
        done, absl::NotFoundError(
                  absl::StrFormat("no worker is named '%s'", target.worker)));
    return nullptr;
  }
  if (target.instance && *target.instance >= worker->second->instances()) {
    environment_->completed.emplace_back(
        done,
        absl::NotFoundError(absl::StrFormat(
            "worker '%s' has no instance %d: its instances are 0 to %d",
            target.worker, *target.instance, worker->second->instances() - 1)));
    return nullptr;
  }
  return worker->second.get();
}

Worker* Supervisor::ResolveToStart(const Target& target, const Done& done) {
  Worker* const worker = Resolve(target, done);
  if (worker == nullptr || (!shut_down_ && !worker->deleting())) return worker;
  environment_->completed.emplace_back(
      done, shut_down_ ? absl::UnavailableError("the agent is shutting down")
                       : absl::FailedPreconditionError(absl::StrFormat(
                             "worker '%s' is being deleted", target.worker)));
  return nullptr;
}

void Supervisor::Start(const Target& target, Done done) {
  const Turn turn(*this);
  Worker* const worker = ResolveToStart(target, done);
  if (worker == nullptr) return;
  worker->Start(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Stop(const Target& target, Done done) {
  const Turn turn(*this);
  Worker* const worker = Resolve(target, done);
  if (worker == nullptr) return;
  worker->Stop(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Restart(const Target& target, Done done) {
  const Turn turn(*this);
  Worker* const worker = ResolveToStart(target, done);
  if (worker == nullptr) return;
  worker->Restart(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Reload(const Target& target, Done done) {
  const Turn turn(*this);
  Worker* const worker = ResolveToStart(target, done);
  if (worker == nullptr) return;
  worker->Reload(target.instance, std::move(done));
  Settle(target.worker);
}

void Supervisor::Delete(std::string_view name, Done done) {
  const Turn turn(*this);
  const Target target{std::string(name), std::nullopt};
  Worker* const worker = Resolve(target, done);
  if (worker == nullptr) return;
  worker->Delete(std::move(done));
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
  Instance* const instance = FindInstance(key);
  if (instance == nullptr) return;
  instance->OnExited(exit);
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

void Supervisor::OnSwept(const InstanceKey& key,
                         std::span<const Survivor> survivors) {
  if (!survivors.empty()) environment_->observer.OnSurvivors(key, survivors);
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
