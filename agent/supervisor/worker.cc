#include "agent/supervisor/worker.h"

#include <algorithm>
#include <cstdint>
#include <memory>
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

absl::Status Superseded(const WorkerSpec& spec, const char* by) {
  return absl::AbortedError(
      absl::StrFormat("worker '%s': a later %s took its place", spec.name, by));
}

bool IsAtRest(const Instance& instance) {
  switch (instance.state()) {
    case InstanceState::kStopped:
    case InstanceState::kExited:
    case InstanceState::kFailed:
      return true;
    case InstanceState::kStarting:
    case InstanceState::kReady:
    case InstanceState::kUnready:
    case InstanceState::kStopping:
    case InstanceState::kBackoff:
    case InstanceState::kCrashloop:
      return false;
  }
  return false;
}

}  // namespace

Worker::Worker(Environment& environment, WorkerSpec spec)
    : environment_(environment),
      spec_(std::move(spec)),
      slots_(spec_.instances) {
  for (uint32_t i = 0; i < spec_.instances; ++i) {
    slots_[i].current = std::make_unique<Instance>(environment_, spec_, i,
                                                   Instance::Role::kPrincipal);
  }
}

Worker::~Worker() = default;

bool Worker::Slot::IsDown() const {
  return current->state() == InstanceState::kStopped && !incoming && !outgoing;
}

std::vector<uint32_t> Worker::Indexes(Index index) const {
  if (index) return {*index};
  std::vector<uint32_t> all(slots_.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

void Worker::Start(Index index, Done done) {
  for (const uint32_t i : Indexes(index)) {
    Slot& slot = slots_[i];
    if (slot.current->state() == InstanceState::kStopping ||
        (IsAtRest(*slot.current) && slot.outgoing)) {
      slot.start_pending = true;
    } else if (slot.current->state() == InstanceState::kUnready &&
               !slot.incoming) {
      // Its end was coming before the command; what counts is the next one.
      slot.current->Stop(StopReason::kReplaced);
      slot.start_pending = true;
    } else {
      slot.current->Start();
    }
  }
  AddWaiter(Waiter::Goal::kUp, index, std::move(done));
}

void Worker::Stop(Index index, Done done) {
  AbortReloads(Superseded(spec_, "stop"));
  AbortWaiters(Waiter::Goal::kUp, index, Superseded(spec_, "stop"));
  for (const uint32_t i : Indexes(index)) {
    StopSlot(slots_[i], StopReason::kForGood);
  }
  AddWaiter(Waiter::Goal::kDown, index, std::move(done));
}

void Worker::Restart(Index index, Done done) {
  AbortReloads(Superseded(spec_, "restart"));
  for (const uint32_t i : Indexes(index)) {
    StopSlot(slots_[i], StopReason::kReplaced);
    slots_[i].start_pending = true;
  }
  AddWaiter(Waiter::Goal::kUp, index, std::move(done));
}

void Worker::Reload(Index index, Done done) {
  std::vector<uint32_t> remaining = Indexes(index);
  remaining.erase(std::remove_if(remaining.begin(), remaining.end(),
                                 [this](uint32_t i) {
                                   const Slot& slot = slots_[i];
                                   const InstanceState state =
                                       slot.current->state();
                                   return !slot.start_pending &&
                                          (state == InstanceState::kStopped ||
                                           state == InstanceState::kStopping);
                                 }),
                  remaining.end());
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

void Worker::Delete(Done done) {
  deleting_ = true;
  Stop(std::nullopt, std::move(done));
}

void Worker::StopSlot(Slot& slot, StopReason reason) {
  slot.start_pending = false;
  slot.current->Stop(reason);
  // At most one of the two is there.
  if (slot.incoming) slot.outgoing = std::move(slot.incoming);
  if (slot.outgoing) slot.outgoing->Stop(reason);
}

void Worker::AddWaiter(Waiter::Goal goal, Index index, Done done) {
  waiters_.push_back({goal, Indexes(index), std::move(done)});
}

void Worker::AbortWaiters(Waiter::Goal goal, Index index,
                          const absl::Status& status) {
  const std::vector<uint32_t> affected = Indexes(index);
  const auto is_affected = [&](const Waiter& waiter) {
    return waiter.goal == goal &&
           std::find_first_of(waiter.remaining.begin(), waiter.remaining.end(),
                              affected.begin(),
                              affected.end()) != waiter.remaining.end();
  };
  for (Waiter& waiter : waiters_) {
    if (is_affected(waiter)) Complete(std::move(waiter.done), status);
  }
  waiters_.erase(std::remove_if(waiters_.begin(), waiters_.end(), is_affected),
                 waiters_.end());
}

void Worker::AbortReloads(const absl::Status& status) {
  for (RollingReload& reload : reloads_) {
    Complete(std::move(reload.done), status);
  }
  reloads_.clear();
  for (Slot& slot : slots_) {
    if (!slot.incoming) continue;
    slot.outgoing = std::move(slot.incoming);
    slot.outgoing->Stop(StopReason::kReplaced);
  }
}

void Worker::Abort(const absl::Status& status) {
  AbortReloads(status);
  for (Waiter& waiter : waiters_) Complete(std::move(waiter.done), status);
  waiters_.clear();
}

Instance* Worker::Find(const InstanceKey& key) {
  if (key.instance >= slots_.size()) return nullptr;
  const Slot& slot = slots_[key.instance];
  for (Instance* instance :
       {slot.current.get(), slot.incoming.get(), slot.outgoing.get()}) {
    if (instance != nullptr && instance->generation() == key.generation) {
      return instance;
    }
  }
  return nullptr;
}

void Worker::Settle() {
  ClearOutgoing();
  SettleReloads();
  ClearOutgoing();
  SettleWaiters();  // Before the next start hides that an instance stopped.
  StartPending();
}

void Worker::ClearOutgoing() {
  for (Slot& slot : slots_) {
    if (slot.outgoing && IsAtRest(*slot.outgoing)) slot.outgoing.reset();
  }
}

void Worker::StartPending() {
  for (Slot& slot : slots_) {
    if (!slot.start_pending || !IsAtRest(*slot.current)) continue;
    if (slot.incoming || slot.outgoing) continue;
    slot.start_pending = false;
    slot.current->Start();
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
  const auto has_arrived = [&](uint32_t i) {
    const Slot& slot = slots_[i];
    if (waiter.goal == Waiter::Goal::kDown) return slot.IsDown();
    if (slot.start_pending) return false;
    if (slot.current->state() == InstanceState::kReady) return true;
    if (!slot.current->outcome()) return false;
    failure.Update(*slot.current->outcome());
    return true;
  };
  waiter.remaining.erase(std::remove_if(waiter.remaining.begin(),
                                        waiter.remaining.end(), has_arrived),
                         waiter.remaining.end());
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
    if (slot.start_pending || slot.outgoing) return std::nullopt;
    if (std::exchange(reload.replaced, false)) {
      reload.remaining.pop_back();
    } else if (!slot.incoming) {
      slot.incoming = std::make_unique<Instance>(environment_, spec_,
                                                 reload.remaining.back(),
                                                 Instance::Role::kReplacement);
      slot.incoming->Start();
      return std::nullopt;
    } else if (slot.incoming->state() == InstanceState::kReady) {
      slot.incoming->Promote();
      slot.outgoing = std::exchange(slot.current, std::move(slot.incoming));
      slot.outgoing->Stop(StopReason::kReplaced);
      ClearOutgoing();  // It may have been at rest already.
      reload.replaced = true;
    } else if (slot.incoming->outcome()) {  // Not ready: a failure.
      const std::string why(slot.incoming->outcome()->message());
      // Most have ended; a launch without answer may still become a process.
      slot.outgoing = std::move(slot.incoming);
      slot.outgoing->Stop(StopReason::kReplaced);
      ClearOutgoing();
      return absl::FailedPreconditionError(
          absl::StrCat(why, "; the old process stays as it was"));
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
  return deleting_ && waiters_.empty() &&
         std::all_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.IsDown(); });
}

WorkerSnapshot Worker::Snapshot() const {
  WorkerSnapshot snapshot;
  snapshot.name = spec_.name;
  snapshot.reloading = !reloads_.empty();
  std::vector<InstanceState> states;
  for (const Slot& slot : slots_) {
    snapshot.instances.push_back(slot.current->Snapshot());
    states.push_back(slot.current->state());
  }
  snapshot.state = DeriveWorkerState(states);
  return snapshot;
}

}  // namespace apm::supervisor
