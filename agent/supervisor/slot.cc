#include "agent/supervisor/slot.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace apm::supervisor {
namespace {

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

// Who of two processes keeps the place: a good one before one that may become
// good, and so on.
int Rank(ProcessMemo::Phase phase) {
  switch (phase) {
    case ProcessMemo::Phase::kReady:
      return 4;
    case ProcessMemo::Phase::kStarting:
      return 3;
    case ProcessMemo::Phase::kUnready:
      return 2;
    case ProcessMemo::Phase::kStopping:
      return 1;
    case ProcessMemo::Phase::kEnded:
      return 0;
  }
  return 0;
}

}  // namespace

Slot::Slot(Environment& environment, const WorkerSpec& spec, uint32_t index)
    : environment_(environment),
      spec_(spec),
      index_(index),
      current_(NewInstance(Role::kPrincipal)) {}

std::unique_ptr<Instance> Slot::NewInstance(Role role) const {
  return std::make_unique<Instance>(environment_, spec_, index_, role);
}

bool Slot::IsDown() const {
  return current_->state() == InstanceState::kStopped && !incoming_ &&
         leaving_.empty() && unswept_.empty();
}

bool Slot::IsMeantToBeDown() const {
  const InstanceState state = current_->state();
  return !start_pending_ && (state == InstanceState::kStopped ||
                             state == InstanceState::kStopping);
}

void Slot::Start() {
  if (current_->state() == InstanceState::kStopping ||
      (IsAtRest(*current_) && !leaving_.empty())) {
    start_pending_ = true;
  } else if (current_->state() == InstanceState::kUnready && !incoming_) {
    // Its end was coming before the command; what counts is the next one.
    current_->Stop(StopReason::kReplaced);
    start_pending_ = true;
  } else {
    current_->Start();
  }
}

void Slot::Stop(StopReason reason, std::string_view why) {
  start_pending_ = false;
  current_->Stop(reason, why);
  if (incoming_) Dismiss(std::move(incoming_), reason, why);
}

void Slot::Restart() {
  Stop(StopReason::kReplaced);
  start_pending_ = true;
}

void Slot::Resume() {
  if (IsMeantToBeDown()) Start();
}

void Slot::StartIfPending() {
  if (!start_pending_ || !IsAtRest(*current_)) return;
  if (incoming_ || !leaving_.empty()) return;
  start_pending_ = false;
  current_->Start();
}

void Slot::LaunchReplacement() {
  incoming_ = NewInstance(Role::kReplacement);
  incoming_->Start();
}

void Slot::PromoteReplacement() {
  // The old one is told first: no successor finds two principals.
  Dismiss(std::exchange(current_, std::move(incoming_)), StopReason::kReplaced,
          "");
  current_->Promote();
  Settle();  // The old one may have been at rest already.
}

void Slot::DropReplacement() {
  // Most have ended; a launch without answer may still become a process.
  Dismiss(std::move(incoming_), StopReason::kReplaced, "");
  Settle();
}

void Slot::Dismiss(std::unique_ptr<Instance> instance, StopReason reason,
                   std::string_view why) {
  instance->Demote();
  instance->Stop(reason, why);
  leaving_.push_back(std::move(instance));
}

void Slot::Adopt(const AdoptedProcess& process) {
  const uint64_t generation = process.key.generation;
  if (!process.memo) {
    auto stranger = NewInstance(Role::kOutgoing);
    stranger->Adopt(process);
    return Dismiss(std::move(stranger), StopReason::kReplaced,
                   "no note says what it was started for");
  }
  const ProcessMemo& memo = *process.memo;
  if (memo.phase == ProcessMemo::Phase::kEnded) {
    unswept_.insert(generation);  // Its exit is still to be reported.
    return;
  }
  const bool is_candidate = memo.role == Role::kPrincipal ||
                            (memo.role == Role::kReplacement &&
                             memo.phase == ProcessMemo::Phase::kReady);
  if (is_candidate && BeatsCurrent(process)) {
    if (current_->has_process()) {
      auto better = NewInstance(Role::kPrincipal);
      better->Restore(current_->Memo());
      Dismiss(std::exchange(current_, std::move(better)), StopReason::kReplaced,
              "a reload has replaced it");
    }
    return current_->Adopt(process);
  }
  auto other = NewInstance(Role::kOutgoing);
  other->Adopt(process);
  Dismiss(std::move(other), StopReason::kReplaced,
          memo.role == Role::kReplacement
              ? "the reload was interrupted by a restart of the agent"
              : "a reload has replaced it");
}

bool Slot::BeatsCurrent(const AdoptedProcess& process) const {
  const int rank = Rank(process.memo->phase);
  const int current_rank = Rank(current_->process_phase());
  return rank > current_rank ||
         (rank == current_rank &&
          process.key.generation > current_->generation());
}

Instance* Slot::Find(uint64_t generation) {
  if (current_->generation() == generation) return current_.get();
  if (incoming_ && incoming_->generation() == generation) {
    return incoming_.get();
  }
  for (const std::unique_ptr<Instance>& instance : leaving_) {
    if (instance->generation() == generation) return instance.get();
  }
  return nullptr;
}

void Slot::OnExited(uint64_t generation, const ProcessExit& exit) {
  Instance* const instance = Find(generation);
  if (instance == nullptr || !instance->has_process()) return;
  unswept_.insert(generation);
  instance->OnExited(exit);
}

void Slot::OnSwept(uint64_t generation) {
  unswept_.erase(generation);
  if (Instance* const instance = Find(generation)) instance->OnSwept();
}

void Slot::Settle() {
  std::erase_if(leaving_, [](const std::unique_ptr<Instance>& instance) {
    return IsAtRest(*instance);
  });
}

}  // namespace apm::supervisor
