// Making what runs agree with the configuration files: `apmctl config apply`.
//
//   load (background) -> plan -> open what is new, or stop here -> store
//   -> perform, all workers at once -> answer
//
// Up to the store nothing has changed. After it a killed agent is followed by
// one that finds the new definitions there, sees by their hash which processes
// are of the old ones, and goes on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "agent/agent.h"
#include "agent/config/diagnostic.h"
#include "agent/config/plan.h"
#include "agent/durable_answer.h"
#include "agent/log_policy.h"
#include "agent/run_as.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"

namespace apm::agent {

using config::PlannedChange;

struct Agent::Apply {
  bool prune = false;
  bool dry_run = false;
  ApiCallback<ApplyReport> done;
  config::Config wanted;
  std::map<std::string, absl::StatusOr<RunAs>, std::less<>> run_as;
  std::vector<PlannedChange> plan;
  // By place in `plan`: the listeners of the new definition.
  std::map<size_t, ListenerTable::Prepared> listeners;
  std::map<size_t, store::DesiredWorker> desired;  // By place in `plan`.
  ApplyReport report;
  size_t open = 0;  // Changes that are under way.
  std::shared_ptr<DurableAnswer<ApplyReport>> answer;
};

namespace {

ConfigChange::Action ActionOf(PlannedChange::Action action) {
  switch (action) {
    case PlannedChange::Action::kCreate:
      return ConfigChange::Action::kCreate;
    case PlannedChange::Action::kUpdate:
      return ConfigChange::Action::kUpdate;
    case PlannedChange::Action::kRolling:
      return ConfigChange::Action::kRolling;
    case PlannedChange::Action::kDelete:
      return ConfigChange::Action::kDelete;
    case PlannedChange::Action::kOverlay:
      return ConfigChange::Action::kOverlay;
    case PlannedChange::Action::kOrphan:
      return ConfigChange::Action::kOrphan;
  }
  return ConfigChange::Action::kOrphan;
}

bool IsToDo(const PlannedChange& change) {
  return change.refusal.empty() &&
         change.action != PlannedChange::Action::kOrphan;
}

absl::Status ErrorsOf(const config::Config& config) {
  std::vector<std::string> errors;
  for (const config::Diagnostic& diagnostic : config.diagnostics) {
    if (diagnostic.severity != config::Severity::kError) continue;
    const std::string text = config::FormatDiagnostic(diagnostic);
    errors.push_back(text.substr(0, text.find('\n')));
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(absl::StrJoin(errors, "\n"),
                   "\nnothing was changed; mend the files, then apply again"));
}

}  // namespace

void Agent::ApplyConfig(bool prune, bool dry_run,
                        ApiCallback<ApplyReport> done) {
  if (applying_) {
    return done(absl::FailedPreconditionError(
        "another config apply is under way; wait for it, then try again"));
  }
  applying_ = true;
  auto apply = std::make_shared<Apply>();
  apply->prune = prune;
  apply->dry_run = dry_run;
  apply->done = [this,
                 done = std::move(done)](absl::StatusOr<ApplyReport> report) {
    applying_ = false;
    done(std::move(report));
  };
  background_.Post([this, apply] {
    apply->wanted = setup_.load_config();
    for (const config::WorkerConfig& worker : apply->wanted.workers) {
      apply->run_as.emplace(worker.name,
                            ResolveRunAs(worker, setup_.daemon_user));
    }
    loop_.Post([this, apply] { ApplyLoaded(apply); });
  });
}

void Agent::ApplyLoaded(std::shared_ptr<Apply> apply) {
  if (shutting_down_) {
    return apply->done(absl::UnavailableError("the agent is stopping"));
  }
  if (absl::Status errors = ErrorsOf(apply->wanted); !errors.ok()) {
    return apply->done(std::move(errors));
  }
  for (const config::Diagnostic& diagnostic : apply->wanted.diagnostics) {
    const std::string text = config::FormatDiagnostic(diagnostic);
    apply->report.warnings.push_back(text.substr(0, text.find('\n')));
  }
  apply->plan = config::Plan(CurrentWorkers(), apply->wanted, apply->prune);
  AddUnfinished(*apply);
  for (const PlannedChange& change : apply->plan) {
    ConfigChange reported{change.worker, ActionOf(change.action), change.fields,
                          change.refusal};
    const auto run_as = apply->run_as.find(change.worker);
    if (run_as != apply->run_as.end() && !run_as->second.ok()) {
      return apply->done(absl::FailedPreconditionError(
          absl::StrFormat("worker '%s': %s; nothing was changed", change.worker,
                          run_as->second.status().message())));
    }
    apply->report.changes.push_back(std::move(reported));
  }
  if (apply->dry_run) return apply->done(std::move(apply->report));
  if (absl::Status opened = OpenForApply(*apply); !opened.ok()) {
    return apply->done(std::move(opened));
  }
  StoreAndPerform(apply);
}

std::vector<config::CurrentWorker> Agent::CurrentWorkers() const {
  std::vector<config::CurrentWorker> current;
  const auto add = [&](const store::DesiredWorker& desired) {
    config::CurrentWorker worker;
    worker.definition = desired.definition;
    worker.from_files = desired.source == store::Source::kConfig;
    worker.overlay = OverlayOf(desired);
    current.push_back(std::move(worker));
  };
  for (const auto& [name, record] : records_) add(record.desired);
  for (const auto& [name, desired] : deleted_) add(desired);
  return current;
}

// What an earlier apply, or reload, stored and did not bring about: processes
// of an old definition, another number of them.
void Agent::AddUnfinished(Apply& apply) const {
  for (const config::WorkerConfig& wanted : apply.wanted.workers) {
    const auto found = records_.find(wanted.name);
    if (found == records_.end()) continue;
    const WorkerRecord& record = found->second;
    if (record.desired.source != store::Source::kConfig) continue;
    const auto snapshot = supervisor_->Find(wanted.name);
    if (!snapshot) continue;
    bool outdated = false;
    for (uint32_t i = 0; i < record.instances(); ++i) {
      outdated |= record.should_run(i) && IsOutdated(record, i);
    }
    const bool miscounted = snapshot->instances.size() != record.instances() &&
                            !snapshot->reloading;
    if (!outdated && !miscounted) continue;
    auto change =
        std::ranges::find(apply.plan, wanted.name, &PlannedChange::worker);
    if (change == apply.plan.end()) {
      PlannedChange unfinished;
      unfinished.worker = wanted.name;
      unfinished.action = outdated ? PlannedChange::Action::kRolling
                                   : PlannedChange::Action::kUpdate;
      unfinished.wanted = wanted;
      unfinished.fields = {"an earlier change is not finished"};
      change = apply.plan.insert(change, std::move(unfinished));
    }
    change->steps.replace |= outdated;
    change->steps.scale |= miscounted;
  }
  std::ranges::sort(apply.plan, {}, &PlannedChange::worker);
}

// All listeners that are new, or none.
absl::Status Agent::OpenForApply(Apply& apply) {
  std::vector<std::string> problems;
  for (size_t i = 0; i < apply.plan.size(); ++i) {
    const PlannedChange& change = apply.plan[i];
    if (!IsToDo(change) || !change.wanted) continue;
    const auto record = records_.find(change.worker);
    WorkerRecord wanted;
    wanted.desired.name = change.worker;
    wanted.desired.definition = *change.wanted;
    wanted.run_as = *apply.run_as.find(change.worker)->second;
    absl::StatusOr<ListenerTable::Prepared> prepared = listeners_.Prepare(
        wanted, record == records_.end() ? nullptr : &record->second);
    if (prepared.ok()) {
      apply.listeners.emplace(i, *std::move(prepared));
    } else {
      problems.push_back(std::string(prepared.status().message()));
    }
  }
  if (problems.empty()) return absl::OkStatus();
  for (auto& [index, prepared] : apply.listeners) {
    listeners_.Discard(std::move(prepared));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(absl::StrJoin(problems, "\n"), "\nnothing was changed"));
}

void Agent::StoreAndPerform(const std::shared_ptr<Apply>& apply) {
  std::vector<store::DesiredWorker> changed;
  for (size_t i = 0; i < apply->plan.size(); ++i) {
    const PlannedChange& change = apply->plan[i];
    if (!IsToDo(change)) continue;
    changed.push_back(WantedOf(change));
    apply->desired.emplace(i, changed.back());
  }
  setup_.config = std::move(apply->wanted);
  apply->open = changed.size();
  if (changed.empty()) return apply->done(std::move(apply->report));
  apply->answer =
      std::make_shared<DurableAnswer<ApplyReport>>(std::move(apply->done));
  // First the store, whole: what follows can be finished by another agent.
  Save(std::move(changed), {}, [this, apply](const absl::Status& stored) {
    apply->answer->OnStored(stored);
    for (auto& [index, desired] : apply->desired) {
      Perform(apply, index, std::move(desired));
    }
  });
}

// What is wanted of a worker once `change` is made.
store::DesiredWorker Agent::WantedOf(const PlannedChange& change) {
  store::DesiredWorker desired;
  const auto record = records_.find(change.worker);
  if (record != records_.end()) {
    desired = record->second.desired;
  } else if (const auto known = deleted_.find(change.worker);
             known != deleted_.end()) {
    desired = known->second;
  }
  desired.name = change.worker;
  desired.deleting = change.action == PlannedChange::Action::kDelete;
  // One that is gone from the files is gone for good when it is deleted.
  desired.source =
      desired.deleting ? store::Source::kApi : store::Source::kConfig;
  if (change.wanted) {
    desired.definition = *change.wanted;
    desired.stopped = false;
    desired.stopped_instances.clear();
    desired.instances.reset();
  }
  AssignInstanceIds(desired);
  return desired;
}

void Agent::Perform(const std::shared_ptr<Apply>& apply, size_t index,
                    store::DesiredWorker desired) {
  const PlannedChange& change = apply->plan[index];
  const std::string name = change.worker;
  const auto done = [this, apply, index](const absl::Status& status) {
    if (!status.ok()) {
      apply->report.changes[index].error = std::string(status.message());
    }
    if (--apply->open > 0) return;
    event_writer_->Say(
        events::type::kConfigApplied, events::Severity::kInfo, "",
        absl::StrFormat("the configuration is applied: %d worker%s changed",
                        apply->desired.size(),
                        apply->desired.size() == 1 ? "" : "s"));
    apply->answer->OnDone(std::move(apply->report));
  };
  deleted_.erase(name);
  const auto found = records_.find(name);
  if (change.action == PlannedChange::Action::kDelete) {
    if (found == records_.end()) {
      Save({}, {name}, [](const absl::Status&) {});
      return done(absl::OkStatus());
    }
    found->second.desired = std::move(desired);
    return Remove(name, done);
  }
  auto begin = [this, apply, index, name, done,
                desired](const absl::Status&) mutable {
    auto prepared = apply->listeners.extract(index);
    const absl::StatusOr<WorkerRecord*> admitted =
        Admit(std::move(desired), *apply->run_as.find(name)->second,
              /*keep_when_bind_fails=*/true, std::move(prepared.mapped()));
    if (!admitted.ok()) return done(admitted.status());
    supervisor_->Start({name, std::nullopt}, done);
  };
  if (found == records_.end()) return begin(absl::OkStatus());
  if (change.steps.at_once ||
      found->second.pipe_mode() == desired.definition.listeners.empty()) {
    // Its processes get other pipes from now on: all of it is made anew, also
    // of a worker that is stopped.
    return TakeDown(name, std::move(begin));
  }
  Update(found->second, std::move(desired), *apply->run_as.find(name)->second,
         std::move(apply->listeners.extract(index).mapped()));
  if (change.steps.socket_mode) {
    if (absl::Status set = ListenerTable::SetSocketModes(found->second);
        !set.ok()) {
      return done(set);
    }
  }
  TakeSteps(name, change.steps, done);
}

// A new definition for a worker that goes on.
void Agent::Update(WorkerRecord& record, store::DesiredWorker desired,
                   RunAs run_as, ListenerTable::Prepared listeners) {
  record.desired = std::move(desired);
  record.run_as = std::move(run_as);
  listeners_.Commit(record, std::move(listeners));
  record.bind_error.clear();
  if (absl::Status opened = OpenAccessLogOf(record); !opened.ok()) {
    log::Error("worker '%s': %s", record.name(), opened.message());
  }
  if (absl::Status updated = supervisor_->Update(SpecFor(record));
      !updated.ok()) {
    log::Error("worker '%s': %s", record.name(), updated.message());
  }
  logs_->Configure(record.name(), LogPolicyOf(record.config().log));
  SendRoutes();
  Announce(record);
}

// The steps of a change one after the other; the first that fails is the last.
void Agent::TakeSteps(const std::string& name, config::ChangeSteps steps,
                      supervisor::Done done) {
  const auto next = [this, name](config::ChangeSteps rest,
                                 supervisor::Done finished) {
    return [this, name, rest,
            finished = std::move(finished)](absl::Status status) {
      if (!status.ok()) return finished(std::move(status));
      TakeSteps(name, rest, finished);
    };
  };
  const auto snapshot = supervisor_->Find(name);
  const auto record = records_.find(name);
  if (!snapshot || record == records_.end()) return done(absl::OkStatus());
  // What will not be wanted any more is not replaced first.
  const bool fewer = record->second.instances() < snapshot->instances.size();
  if (!(steps.scale && fewer) && std::exchange(steps.replace, false) &&
      snapshot->state != supervisor::WorkerState::kStopped) {
    return supervisor_->Reload({name, std::nullopt},
                               next(steps, std::move(done)));
  }
  if (std::exchange(steps.scale, false)) {
    return supervisor_->Scale(name, record->second.instances(),
                              next(steps, std::move(done)));
  }
  if (std::exchange(steps.start, false)) {
    return supervisor_->Start({name, std::nullopt}, std::move(done));
  }
  done(absl::OkStatus());
}

}  // namespace apm::agent
