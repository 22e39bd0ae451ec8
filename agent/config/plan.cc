#include "agent/config/plan.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/config/plan_fields.h"

namespace apm::config {
namespace {

using Action = PlannedChange::Action;

std::string InstancesText(int before, int after) {
  return absl::StrCat("instances ", before, " -> ", after);
}

// Which of both to keep is for a person to say: the two are different programs
// as likely as not.
PlannedChange RefuseTaken(const WorkerConfig& wanted) {
  PlannedChange change;
  change.worker = wanted.name;
  change.action = Action::kCreate;
  change.wanted = wanted;
  change.refusal = absl::StrFormat(
      "there is a worker '%s' already that was created by command; delete that "
      "one and apply again: apmctl delete %s, or rename the one at %s:%d",
      wanted.name, wanted.name, wanted.source.file, wanted.source.line);
  return change;
}

PlannedChange PlanCreate(const WorkerConfig& wanted) {
  PlannedChange change;
  change.worker = wanted.name;
  change.action = Action::kCreate;
  change.wanted = wanted;
  return change;
}

// How many there are to be: the files say one number, a command perhaps
// another.
void PlanInstances(const CurrentWorker& current, const WorkerConfig& wanted,
                   PlannedChange& change) {
  const int defined = current.definition.instances;
  const int running = current.overlay.instances.value_or(defined);
  change.steps.scale = running != wanted.instances;
  if (change.steps.scale) {
    change.fields.push_back(InstancesText(running, wanted.instances));
  } else if (defined != wanted.instances) {
    change.fields.push_back(InstancesText(defined, wanted.instances));
  }
}

// Undoes what commands have stopped.
void PlanStart(const Overlay& overlay, PlannedChange& change) {
  if (overlay.deleted || overlay.stopped) {
    change.fields.emplace_back(overlay.deleted ? "no longer deleted"
                                               : "no longer stopped");
    change.steps.start = true;
    // There is nothing to replace: it starts as it is now wanted.
    change.steps.replace = false;
    change.steps.at_once = false;
    return;
  }
  for (const uint32_t instance : overlay.stopped_instances) {
    change.fields.push_back(
        absl::StrCat("instance ", instance, " no longer stopped"));
    change.steps.start = true;
  }
}

PlannedChange PlanExisting(const CurrentWorker& current,
                           const WorkerConfig& wanted) {
  PlannedChange change;
  change.worker = wanted.name;
  change.wanted = wanted;
  auto [steps, fields] = Compare(current.definition, wanted);
  change.steps = steps;
  change.fields = std::move(fields);
  const bool redefined = !change.fields.empty() ||
                         current.definition.instances != wanted.instances;
  PlanInstances(current, wanted, change);
  PlanStart(current.overlay, change);
  change.action = change.steps.replace ? Action::kRolling
                  : redefined          ? Action::kUpdate
                                       : Action::kOverlay;
  return change;
}

PlannedChange PlanGone(const CurrentWorker& current, bool prune) {
  PlannedChange change;
  change.worker = current.definition.name;
  change.action =
      prune || current.overlay.deleted ? Action::kDelete : Action::kOrphan;
  return change;
}

// Whether the files say nothing about `name`, not even something wrong. A
// block without a name may have been meant for any worker.
bool IsGone(std::string_view name, const Config& wanted) {
  return std::ranges::none_of(
      wanted.disabled, [name](const DisabledWorker& disabled) {
        return disabled.name.empty() || disabled.name == name;
      });
}

}  // namespace

std::vector<std::string> DescribeOverlay(const WorkerConfig& definition,
                                         const Overlay& overlay) {
  std::vector<std::string> words;
  if (overlay.deleted) words.emplace_back("deleted");
  if (overlay.stopped) words.emplace_back("stopped");
  for (const uint32_t instance : overlay.stopped_instances) {
    words.push_back(absl::StrCat("instance ", instance, " stopped"));
  }
  if (overlay.instances && *overlay.instances != definition.instances) {
    words.push_back(InstancesText(definition.instances, *overlay.instances));
  }
  return words;
}

std::vector<PlannedChange> Plan(const std::vector<CurrentWorker>& current,
                                const Config& wanted, bool prune) {
  std::map<std::string_view, const CurrentWorker*> by_name;
  for (const CurrentWorker& worker : current) {
    by_name[worker.definition.name] = &worker;
  }
  std::vector<PlannedChange> plan;
  for (const WorkerConfig& worker : wanted.workers) {
    const auto found = by_name.find(worker.name);
    if (found == by_name.end()) {
      plan.push_back(PlanCreate(worker));
      continue;
    }
    const CurrentWorker& existing = *found->second;
    by_name.erase(found);
    if (!existing.from_files) {
      plan.push_back(RefuseTaken(worker));
      continue;
    }
    PlannedChange change = PlanExisting(existing, worker);
    if (!change.fields.empty()) plan.push_back(std::move(change));
  }
  for (const auto& [name, worker] : by_name) {  // What the files do not have.
    if (worker->from_files && IsGone(name, wanted)) {
      plan.push_back(PlanGone(*worker, prune));
    }
  }
  std::ranges::sort(plan, {}, &PlannedChange::worker);
  return plan;
}

}  // namespace apm::config
