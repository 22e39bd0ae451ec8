#include "agent/supervisor/worker.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace apm::supervisor {
namespace {

std::vector<uint32_t> Range(uint32_t from, uint32_t end) {
  std::vector<uint32_t> range(end > from ? end - from : 0);
  std::iota(range.begin(), range.end(), from);
  return range;
}

absl::Status Superseded(const WorkerSpec& spec, const char* by) {
  return absl::AbortedError(
      absl::StrFormat("worker '%s': a later %s took its place", spec.name, by));
}

// The end of the reason why a reload failed.
const char* WhatStays(InstanceState old) {
  switch (old) {
    case InstanceState::kStarting:
    case InstanceState::kReady:
    case InstanceState::kUnready:
    case InstanceState::kStopping:
      return "; the old process stays as it was";
    case InstanceState::kStopped:
    case InstanceState::kBackoff:
    case InstanceState::kCrashloop:
    case InstanceState::kExited:
    case InstanceState::kFailed:
      break;
  }
  return "; there was no old process";
}

}  // namespace

Worker::Worker(Environment& environment, WorkerSpec spec)
    : environment_(environment), spec_(std::move(spec)) {
  GrowTo(spec_.instances);
}

Worker::~Worker() = default;

void Worker::GrowTo(size_t slots) {
  while (slots_.size() < slots) {
    slots_.emplace_back(environment_, spec_,
                        static_cast<uint32_t>(slots_.size()));
  }
}

std::vector<uint32_t> Worker::Indexes(Index index) const {
  if (index) return {*index};
  return Range(0, spec_.instances);
}

std::vector<uint32_t> Worker::IndexesWithRetired(Index index) const {
  if (index) return {*index};
  return Range(0, static_cast<uint32_t>(slots_.size()));
}

// ---- Commands ----

void Worker::Start(Index index, Done done) {
  for (const uint32_t i : Indexes(index)) slots_[i].Start();
  AddWaiter(Waiter::Goal::kUp, Indexes(index), std::move(done));
}

void Worker::Stop(Index index, Done done) {
  AbortReloads(Superseded(spec_, "stop"));
  AbortStarts(Indexes(index), Superseded(spec_, "stop"));
  const std::vector<uint32_t> indexes = IndexesWithRetired(index);
  for (const uint32_t i : indexes) slots_[i].Stop(StopReason::kForGood);
  AddWaiter(Waiter::Goal::kDown, indexes, std::move(done));
}

void Worker::Restart(Index index, Done done) {
  AbortReloads(Superseded(spec_, "restart"));
  for (const uint32_t i : Indexes(index)) slots_[i].Restart();
  AddWaiter(Waiter::Goal::kUp, Indexes(index), std::move(done));
}

void Worker::Reload(Index index, Done done) {
  std::vector<uint32_t> remaining = Indexes(index);
  std::erase_if(remaining,
                [this](uint32_t i) { return slots_[i].IsMeantToBeDown(); });
  if (remaining.empty()) {
    return Complete(std::move(done),
                    absl::FailedPreconditionError(absl::StrFormat(
                        "worker '%s' is stopped: there is nothing to reload; "
                        "start it instead",
                        spec_.name)));
  }
  std::reverse(remaining.begin(), remaining.end());
  reloads_.push_back({std::move(remaining), std::move(done)});
}

void Worker::Scale(uint32_t instances, Done done) {
  // The last one wins, and waits for whatever the one before it waited for.
  std::vector<uint32_t> awaited = AbortScales();
  const uint32_t before = std::exchange(spec_.instances, instances);
  const bool is_down =
      std::all_of(slots_.begin(), slots_.begin() + before,
                  [](const Slot& slot) { return slot.IsMeantToBeDown(); });

  GrowTo(instances);
  for (uint32_t i = before; i < instances; ++i) {
    if (is_down) continue;  // By command: more of it is as stopped.
    slots_[i].Start();
    awaited.push_back(i);
  }
  const auto retired = Range(instances, static_cast<uint32_t>(slots_.size()));
  AbortStarts(retired, Superseded(spec_, "scale"));
  LeaveOutOfReloads(instances);
  for (const uint32_t i : retired) {
    slots_[i].Stop(StopReason::kReplaced, "scaled down");
    awaited.push_back(i);
  }
  AddWaiter(Waiter::Goal::kScaled, std::move(awaited), std::move(done));
}

void Worker::Delete(Done done) {
  deleting_ = true;
  Stop(std::nullopt, std::move(done));
}

void Worker::Resume(Index index) {
  for (const uint32_t i : Indexes(index)) slots_[i].Resume();
}

void Worker::Update(WorkerSpec spec) {
  spec.instances = spec_.instances;
  spec_ = std::move(spec);
}

void Worker::AddWaiter(Waiter::Goal goal, std::vector<uint32_t> indexes,
                       Done done) {
  waiters_.push_back({goal, std::move(indexes), std::move(done)});
}

void Worker::AbortWaiters(const std::function<bool(const Waiter&)>& affected,
                          const absl::Status& status) {
  const auto first = std::stable_partition(
      waiters_.begin(), waiters_.end(),
      [&](const Waiter& waiter) { return !affected(waiter); });
  for (auto waiter = first; waiter != waiters_.end(); ++waiter) {
    Complete(std::move(waiter->done), status);
  }
  waiters_.erase(first, waiters_.end());
}

void Worker::AbortStarts(const std::vector<uint32_t>& indexes,
                         const absl::Status& status) {
  const auto waits_for_one = [&](const Waiter& waiter) {
    return waiter.goal != Waiter::Goal::kDown &&
           std::find_first_of(waiter.remaining.begin(), waiter.remaining.end(),
                              indexes.begin(),
                              indexes.end()) != waiter.remaining.end();
  };
  AbortWaiters(waits_for_one, status);
}

std::vector<uint32_t> Worker::AbortScales() {
  std::vector<uint32_t> awaited;
  for (const Waiter& waiter : waiters_) {  // There is one at most.
    if (waiter.goal == Waiter::Goal::kScaled) awaited = waiter.remaining;
  }
  AbortWaiters(
      [](const Waiter& waiter) { return waiter.goal == Waiter::Goal::kScaled; },
      Superseded(spec_, "scale"));
  return awaited;
}

void Worker::AbortReloads(const absl::Status& status) {
  for (RollingReload& reload : reloads_) {
    Complete(std::move(reload.done), status);
  }
  reloads_.clear();
  for (Slot& slot : slots_) {
    if (slot.incoming() != nullptr) slot.DropReplacement();
  }
}

void Worker::LeaveOutOfReloads(uint32_t first_index) {
  for (RollingReload& reload : std::exchange(reloads_, {})) {
    if (reload.remaining.back() >= first_index) reload.replaced = false;
    std::erase_if(reload.remaining,
                  [&](uint32_t i) { return i >= first_index; });
    if (!reload.remaining.empty()) {
      reloads_.push_back(std::move(reload));
    } else {
      Complete(std::move(reload.done), reload.finished > 0
                                           ? absl::OkStatus()
                                           : Superseded(spec_, "scale"));
    }
  }
}

void Worker::Abort(const absl::Status& status) {
  AbortReloads(status);
  for (Waiter& waiter : waiters_) Complete(std::move(waiter.done), status);
  waiters_.clear();
}

// ---- Events ----

void Worker::Restore(uint32_t index, const InstanceMemo& memo) {
  if (index < slots_.size()) return slots_[index].Restore(memo);
  // Scaled away, and no more than the note is left.
  environment_.observer.OnInstanceRemoved(spec_.name, index);
}

void Worker::Adopt(const AdoptedProcess& process) {
  const uint32_t index = process.key.instance;
  GrowTo(size_t{index} + 1);
  slots_[index].Adopt(process);
  if (index >= spec_.instances) {
    slots_[index].Stop(StopReason::kReplaced, "scaled down");
  }
}

Instance* Worker::Find(const InstanceKey& key) {
  if (key.instance >= slots_.size()) return nullptr;
  return slots_[key.instance].Find(key.generation);
}

void Worker::OnExited(const InstanceKey& key, const ProcessExit& exit) {
  if (key.instance >= slots_.size()) return;
  slots_[key.instance].OnExited(key.generation, exit);
}

void Worker::OnSwept(const InstanceKey& key) {
  if (key.instance >= slots_.size()) return;
  slots_[key.instance].OnSwept(key.generation);
}

// ---- What has come of it ----

void Worker::Settle() {
  SettleSlots();
  SettleReloads();
  SettleSlots();
  RemoveRetired();
  SettleWaiters();  // Before the next start hides that an instance stopped.
  for (Slot& slot : slots_) slot.StartIfPending();
}

void Worker::SettleSlots() {
  for (Slot& slot : slots_) slot.Settle();
}

void Worker::RemoveRetired() {
  const auto is_down = [](const Slot& slot) { return slot.IsDown(); };
  size_t keep = spec_.instances;
  if (deleting_ && std::all_of(slots_.begin(), slots_.end(), is_down)) keep = 0;
  while (slots_.size() > keep && slots_.back().IsDown()) {
    slots_.pop_back();
    environment_.observer.OnInstanceRemoved(
        spec_.name, static_cast<uint32_t>(slots_.size()));
  }
}

void Worker::SettleWaiters() {
  std::vector<Waiter> waiting = std::exchange(waiters_, {});
  for (Waiter& waiter : waiting) {
    if (std::optional<absl::Status> status = Judge(waiter)) {
      Complete(std::move(waiter.done), *std::move(status));
    } else {
      waiters_.push_back(std::move(waiter));
    }
  }
}

std::optional<absl::Status> Worker::Judge(Waiter& waiter) const {
  absl::Status failure;
  std::erase_if(waiter.remaining, [&](uint32_t i) {
    if (i >= slots_.size()) return true;  // Scaled away, or deleted.
    const Slot& slot = slots_[i];
    if (waiter.goal == Waiter::Goal::kDown) return slot.IsDown();
    if (i >= spec_.instances || slot.start_pending()) return false;
    if (slot.current().state() == InstanceState::kReady) return true;
    if (!slot.current().outcome()) return false;
    failure.Update(*slot.current().outcome());
    return true;
  });
  if (!failure.ok()) return failure;
  if (waiter.remaining.empty()) return absl::OkStatus();
  return std::nullopt;
}

void Worker::SettleReloads() {
  while (!reloads_.empty()) {
    std::optional<absl::Status> status = Advance(reloads_.front());
    if (!status) return;
    Complete(std::move(reloads_.front().done), *std::move(status));
    reloads_.pop_front();
  }
}

std::optional<absl::Status> Worker::Advance(RollingReload& reload) {
  while (!reload.remaining.empty()) {
    Slot& slot = slots_[reload.remaining.back()];
    // The old process first, also that of the last instance: there is never
    // more than one above the configured number.
    if (slot.start_pending() || slot.has_leaving()) return std::nullopt;
    if (std::exchange(reload.replaced, false)) {
      reload.remaining.pop_back();
      ++reload.finished;
    } else if (slot.incoming() == nullptr) {
      slot.LaunchReplacement();
      return std::nullopt;
    } else if (slot.incoming()->state() == InstanceState::kReady) {
      slot.PromoteReplacement();
      reload.replaced = true;
    } else if (slot.incoming()->outcome()) {  // Not ready: a failure.
      const std::string why(slot.incoming()->outcome()->message());
      slot.DropReplacement();
      return absl::FailedPreconditionError(
          absl::StrCat(why, WhatStays(slot.current().state())));
    } else {
      return std::nullopt;
    }
  }
  return absl::OkStatus();
}

void Worker::Complete(Done done, absl::Status status) {
  environment_.completed.emplace_back(std::move(done), std::move(status));
}

bool Worker::gone() const {
  return deleting_ && slots_.empty() && waiters_.empty();
}

WorkerSnapshot Worker::Snapshot() const {
  WorkerSnapshot snapshot;
  snapshot.name = spec_.name;
  snapshot.reloading = !reloads_.empty();
  std::vector<InstanceState> states;
  for (const Slot& slot : slots_) {
    snapshot.instances.push_back(slot.current().Snapshot());
    // Those that are scaled away say nothing about the worker.
    if (states.size() < spec_.instances) {
      states.push_back(slot.current().state());
    }
  }
  snapshot.state = DeriveWorkerState(states);
  return snapshot;
}

}  // namespace apm::supervisor
