// The part of an instance that outlives its agent: what it tells a successor,
// and how it goes on from what its predecessor has told.
//
// A note is written before the act it is about, so that whatever is found later
// was announced. Two notes are about one end: first the instance's, with the
// judgement, then that the process has ended. Whoever finds the first without
// the second judges again; a job that has done its work is found done by both.

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/supervisor/instance.h"

namespace apm::supervisor {
namespace {

ProcessMemo::Phase PhaseOf(InstanceState state) {
  switch (state) {
    case InstanceState::kStarting:
      return ProcessMemo::Phase::kStarting;
    case InstanceState::kReady:
      return ProcessMemo::Phase::kReady;
    case InstanceState::kUnready:
      return ProcessMemo::Phase::kUnready;
    case InstanceState::kStopping:
      return ProcessMemo::Phase::kStopping;
    case InstanceState::kStopped:
    case InstanceState::kBackoff:
    case InstanceState::kCrashloop:
    case InstanceState::kExited:
    case InstanceState::kFailed:
      return ProcessMemo::Phase::kEnded;
  }
  return ProcessMemo::Phase::kEnded;
}

}  // namespace

// ---- To a successor ----

ProcessMemo::Phase Instance::process_phase() const {
  return has_process() ? PhaseOf(state_) : ProcessMemo::Phase::kEnded;
}

ProcessMemo Instance::MakeProcessMemo() const {
  ProcessMemo memo;
  memo.phase = process_phase();
  memo.role = role_;
  if (!has_process()) return memo;
  memo.stop_reason = stop_reason_;
  memo.signalled = signalled_;
  memo.torn = torn_;
  memo.ready = ready_since_;
  memo.connector = connector_;
  memo.problem = unready_reason_;
  return memo;
}

void Instance::RememberProcess() {
  ProcessMemo memo = MakeProcessMemo();
  if (memo.phase == ProcessMemo::Phase::kEnded &&
      (!remembered_ || remembered_->phase == memo.phase)) {
    return;  // There was none, or its end is known and the note may be gone.
  }
  if (remembered_ == memo) return;
  environment_.processes.Remember(Key(), memo);
  remembered_ = std::move(memo);
}

void Instance::RememberInstance() {
  // The history is the principal's: a replacement that fails leaves none.
  if (role_ == Role::kPrincipal) {
    environment_.processes.Remember(spec_.name, index_, Memo());
  }
  // After that: an end that is judged twice is a small wrong, one that is
  // forgotten would run a job again.
  if (!has_process()) RememberProcess();
}

InstanceMemo Instance::Memo() const {
  InstanceMemo memo;
  memo.state = state_;
  memo.generation = generation_;
  memo.restarts = restarts_;
  memo.pacer = pacer_.Memo(environment_.timers.Now(), environment_.clock.Now());
  memo.next_retry = next_retry_at_;
  memo.last_exit = last_exit_;
  memo.problem = problem_;
  return memo;
}

void Instance::Promote() {
  role_ = Role::kPrincipal;
  RememberProcess();
  RememberInstance();
}

// ---- From a predecessor ----

void Instance::Restore(const InstanceMemo& memo) {
  restarts_ = memo.restarts;
  pacer_.Restore(memo.pacer, environment_.timers.Now(),
                 environment_.clock.Now());
  last_exit_ = memo.last_exit;
  problem_ = memo.problem;
  generation_ = memo.generation;
  switch (memo.state) {
    case InstanceState::kBackoff:
      return RestoreRetry(memo, spec_.backoff.max);
    case InstanceState::kCrashloop:
      return RestoreRetry(memo, spec_.crash_loop.retry);
    case InstanceState::kExited:
    case InstanceState::kFailed:
      state_ = memo.state;
      return;
    case InstanceState::kStopped:
    case InstanceState::kStarting:
    case InstanceState::kReady:
    case InstanceState::kUnready:
    case InstanceState::kStopping:
      return;
  }
}

void Instance::RestoreRetry(const InstanceMemo& memo, absl::Duration longest) {
  const absl::Time now = environment_.clock.Now();
  state_ = memo.state;
  retry_wait_ = std::clamp(memo.next_retry.value_or(now) - now,
                           absl::ZeroDuration(), longest);
  ArmRetry();
}

void Instance::Adopt(const AdoptedProcess& process) {
  const ProcessMemo memo = process.memo.value_or(ProcessMemo{});
  Disarm();
  generation_ = process.key.generation;
  environment_.next_generation =
      std::max(environment_.next_generation, generation_ + 1);
  pid_ = process.pid;
  phase_ = pid_ == 0 ? Phase::kLaunching : Phase::kRunning;
  attached_ = spec_.pipe_mode && phase_ == Phase::kRunning;
  started_at_ = process.started;
  spawned_at_ = MonotonicAt(process.started);
  stop_reason_ = memo.stop_reason;
  signalled_ = memo.signalled;
  torn_ = memo.torn;
  killed_ = torn_;
  ready_since_ = memo.ready;
  if (memo.ready) ready_at_ = MonotonicAt(*memo.ready);
  connector_ = memo.connector;
  unready_reason_ = memo.problem;
  remembered_ = process.memo;
  GoOnAs(phase_ == Phase::kLaunching && memo.phase == ProcessMemo::Phase::kReady
             ? ProcessMemo::Phase::kStarting  // No memo says so.
             : memo.phase);
  RememberProcess();  // Its role may have changed.
}

void Instance::GoOnAs(ProcessMemo::Phase phase) {
  switch (phase) {
    case ProcessMemo::Phase::kStarting:
      state_ = InstanceState::kStarting;
      return phase_ == Phase::kLaunching
                 ? Arm(spec_.start_timeout, InstanceEvent::kTimeout)
                 : Arm(spec_.ready_after, InstanceEvent::kReady);
    case ProcessMemo::Phase::kReady:
      state_ = InstanceState::kReady;
      problem_.clear();
      outcome_ = absl::OkStatus();
      if (attached_) environment_.traffic.Ready(Key());
      return;
    case ProcessMemo::Phase::kUnready:
      state_ = InstanceState::kUnready;
      if (torn_) return Discard();
      return signalled_ ? Arm(spec_.stop_timeout, InstanceEvent::kStopTimeout)
                        : Signal();
    case ProcessMemo::Phase::kStopping:
    case ProcessMemo::Phase::kEnded:
      state_ = InstanceState::kStopping;
      return signalled_ ? Arm(spec_.stop_timeout, InstanceEvent::kStopTimeout)
                        : Drain();
  }
}

absl::Duration Instance::MonotonicAt(absl::Time wall) const {
  return environment_.timers.Now() -
         std::max(environment_.clock.Now() - wall, absl::ZeroDuration());
}

}  // namespace apm::supervisor
