#include "agent/supervisor/instance.h"

#include <signal.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

namespace apm::supervisor {
namespace {

// A process that SIGKILL does not end (it hangs in the kernel) is sent it
// again, not more often than this.
constexpr absl::Duration kMinKillInterval = absl::Seconds(1);

}  // namespace

Instance::Instance(Environment& environment, const WorkerSpec& spec,
                   uint32_t index, Role role)
    : environment_(environment),
      spec_(spec),
      index_(index),
      role_(role),
      pacer_(spec.backoff, spec.crash_loop) {}

Instance::~Instance() { Disarm(); }

void Instance::Start() {
  if (state_ == InstanceState::kReady) return;
  pacer_.Reset();
  restarts_ = 0;
  outcome_.reset();
  Handle(InstanceEvent::kStart, "");
}

void Instance::Stop(StopReason reason, std::string_view why) {
  stop_reason_ = reason;
  Handle(InstanceEvent::kStop, why);
}

void Instance::OnSpawned(pid_t pid) {
  if (phase_ != Phase::kLaunching) return;
  phase_ = Phase::kRunning;
  pid_ = pid;
  spawned_at_ = environment_.timers.Now();
  started_at_ = environment_.clock.Now();
  Handle(InstanceEvent::kSpawned, "");
}

void Instance::OnSpawnFailed(std::string_view reason) {
  if (phase_ != Phase::kLaunching) return;
  phase_ = Phase::kNone;
  End(/*success=*/false, /*spawned=*/false, std::string(reason));
}

void Instance::OnExited(const ProcessExit& exit) {
  if (phase_ == Phase::kNone) return;
  phase_ = Phase::kNone;
  pid_ = 0;
  last_exit_ = exit;
  if (std::exchange(attached_, false)) environment_.traffic.Detach(Key());

  std::string reason = DescribeExit(exit);
  bool success =
      exit.signal == 0 &&
      std::find(spec_.success_codes.begin(), spec_.success_codes.end(),
                exit.code) != spec_.success_codes.end();
  if (state_ == InstanceState::kStarting) {
    reason += " before it was ready";
    // A pipe worker serves until it is told to stop; a plain one may be a job.
    if (spec_.pipe_mode) success = false;
  }
  if (state_ == InstanceState::kUnready && signalled_) {
    reason = unready_reason_;
    success = false;  // Whatever it says: we have ended it.
  }
  End(success, /*spawned=*/true, reason);
}

void Instance::OnHello(std::string_view connector) {
  if (phase_ != Phase::kRunning) return;
  connector_ = connector;
  Handle(InstanceEvent::kReady, "");
  RememberProcess();  // It may have counted as ready before it said so.
}

void Instance::OnDrained() { Handle(InstanceEvent::kDrained, ""); }

void Instance::OnLinkLost() {
  if (phase_ != Phase::kRunning) return;
  unready_reason_ =
      "closed its stdin or stdout while it ran, and was stopped for it";
  Handle(InstanceEvent::kLinkLost, "closed its stdin or stdout");
}

void Instance::OnLinkTorn() {
  if (phase_ != Phase::kRunning) return;
  unready_reason_ = "its link was torn when the proxy died";
  Handle(InstanceEvent::kLinkTorn, unready_reason_);
}

void Instance::OnSwept() {
  if (phase_ != Phase::kNone) return;
  Handle(InstanceEvent::kSwept, last_exit_ ? DescribeExit(*last_exit_) : "");
}

void Instance::OnTimer(InstanceEvent event) {
  timer_ = kNoTimer;
  std::string reason;
  if (event == InstanceEvent::kTimeout && state_ == InstanceState::kStarting) {
    reason = absl::StrCat("was not started within ",
                          absl::FormatDuration(spec_.start_timeout));
    unready_reason_ = reason;
    Fail(reason);
  }
  if (event == InstanceEvent::kTimeout && next_retry_at_) ++restarts_;
  Handle(event, reason);
  environment_.settle(std::string(spec_.name));  // May destroy *this.
}

void Instance::End(bool success, bool spawned, const std::string& reason) {
  if (state_ == InstanceState::kStopping) {
    // What was never spawned has left nothing behind.
    return Handle(
        spawned ? InstanceEvent::kEndedForGood : InstanceEvent::kSwept, reason);
  }
  const InstanceEvent event = JudgeEnd(success, spawned);
  if (torn_ && event == InstanceEvent::kEndedRestart) {
    problem_ = reason;  // Ours, not its own: whoever waits for it goes on.
  } else if (success && event == InstanceEvent::kEndedForGood) {
    problem_.clear();
    if (!outcome_) outcome_ = absl::OkStatus();
  } else {
    Fail(reason);
  }
  if (event == InstanceEvent::kEndedRestart) ++restarts_;
  Handle(event, reason);
}

InstanceEvent Instance::JudgeEnd(bool success, bool spawned) {
  if (role_ != Role::kPrincipal) return InstanceEvent::kEndedGaveUp;
  if (torn_) return InstanceEvent::kEndedRestart;  // Whatever the policy.
  switch (spec_.restart) {
    case RestartPolicy::kNever:
      return spawned ? InstanceEvent::kEndedForGood
                     : InstanceEvent::kEndedGaveUp;
    case RestartPolicy::kOnFailure:
      if (success) return InstanceEvent::kEndedForGood;
      break;
    case RestartPolicy::kAlways:
      break;
  }
  const absl::Duration now = environment_.timers.Now();
  const RestartPacer::Next next =
      pacer_.OnEnd(now, ready_at_ ? now - *ready_at_ : absl::ZeroDuration(),
                   environment_.random());
  retry_wait_ = next.wait;
  switch (next.pace) {
    case RestartPacer::Pace::kNow:
      return InstanceEvent::kEndedRestart;
    case RestartPacer::Pace::kBackoff:
      return InstanceEvent::kEndedBackoff;
    case RestartPacer::Pace::kCrashloop:
      return InstanceEvent::kEndedCrashloop;
  }
  return InstanceEvent::kEndedCrashloop;
}

void Instance::Fail(std::string reason) {
  if (!outcome_) {
    outcome_ = absl::FailedPreconditionError(absl::StrFormat(
        "worker '%s', instance %d: %s", spec_.name, index_, reason));
  }
  problem_ = std::move(reason);
}

void Instance::Handle(InstanceEvent event, std::string_view reason) {
  const InstanceState from = state_;
  const Transition& transition = Lookup(from, event);
  if (transition.action == InstanceAction::kIgnore) return;
  state_ = transition.next;
  Perform(transition.action);
  // A process that is replaced at once is news although the state is the same.
  if (from != state_ || transition.action == InstanceAction::kLaunch) {
    environment_.observer.OnStateChanged(Key(), from, state_, reason);
  }
}

void Instance::Perform(InstanceAction action) {
  switch (action) {
    case InstanceAction::kIgnore:
      return;
    case InstanceAction::kLaunch:
      return Launch();
    case InstanceAction::kAttach:
      return Attach();
    case InstanceAction::kServe:
      return Serve();
    case InstanceAction::kAwaitEnd:
      RememberProcess();
      return Arm(kEndGrace, InstanceEvent::kTimeout);
    case InstanceAction::kDrain:
      return Drain();
    case InstanceAction::kSignal:
      return Signal();
    case InstanceAction::kKill:
      return Kill();
    case InstanceAction::kDiscard:
      return Discard();
    case InstanceAction::kAwaitSweep:
      return Disarm();
    case InstanceAction::kAwaitRetry:
      return AwaitRetry();
    case InstanceAction::kRest:
      return Rest();
  }
}

void Instance::Launch() {
  Disarm();
  RememberInstance();
  generation_ = environment_.next_generation++;
  phase_ = Phase::kLaunching;
  signalled_ = false;
  killed_ = false;
  torn_ = false;
  ready_at_.reset();
  ready_since_.reset();
  connector_.clear();
  unready_reason_.clear();
  remembered_.reset();
  RememberProcess();
  Arm(spec_.start_timeout, InstanceEvent::kTimeout);
  environment_.processes.Launch(Key());
}

void Instance::Attach() {
  Arm(spec_.ready_after, InstanceEvent::kReady);
  if (!spec_.pipe_mode) return;
  attached_ = true;
  environment_.traffic.Attach(Key());
}

void Instance::Serve() {
  Disarm();
  ready_at_ = environment_.timers.Now();
  ready_since_ = environment_.clock.Now();
  problem_.clear();
  if (!outcome_) outcome_ = absl::OkStatus();
  RememberProcess();
  if (attached_) environment_.traffic.Ready(Key());
}

void Instance::Drain() {
  if (!attached_) return Signal();
  RememberProcess();
  Arm(spec_.drain_timeout, InstanceEvent::kTimeout);
  environment_.traffic.Drain(Key(), stop_reason_, spec_.drain_timeout);
}

void Instance::Signal() {
  RememberProcess();
  if (signalled_) return;
  // No answer to the launch yet: kSpawned will bring us here again.
  if (phase_ != Phase::kRunning) return Disarm();
  Arm(spec_.stop_timeout, InstanceEvent::kStopTimeout);
  environment_.processes.Signal(Key(), spec_.stop_signal);
  // A stopped process would hear of the signal only after SIGCONT.
  environment_.processes.Signal(Key(), SIGCONT);
  // The one note that follows its act. If we are killed in between, the
  // process hears the signal twice; the other way round it would not hear it
  // at all, and be killed unprepared when stop_timeout is over.
  signalled_ = true;
  RememberProcess();
}

void Instance::Kill() {
  Arm(std::max(spec_.stop_timeout, kMinKillInterval),
      InstanceEvent::kStopTimeout);
  environment_.processes.Signal(Key(), SIGKILL);
  if (!std::exchange(killed_, true)) {
    environment_.observer.OnKilled(Key(), pid_, spec_.stop_timeout);
  }
}

// SIGKILL, and at once. The next byte on its stdin would be read as the rest
// of half a frame, and the ends of its sessions will never reach it: a worker
// that is asked to finish first would wait for them in vain until stop_timeout,
// its place empty all the while. To it this is a crash, as it must expect one.
void Instance::Discard() {
  torn_ = true;
  signalled_ = true;
  killed_ = true;  // That it was too slow is nothing to report.
  RememberProcess();
  Arm(std::max(spec_.stop_timeout, kMinKillInterval),
      InstanceEvent::kStopTimeout);
  environment_.processes.Signal(Key(), SIGKILL);
}

void Instance::AwaitRetry() {
  ArmRetry();
  RememberInstance();
}

void Instance::ArmRetry() {
  Arm(retry_wait_, InstanceEvent::kTimeout);
  next_retry_at_ = environment_.clock.Now() + retry_wait_;
}

void Instance::Rest() {
  Disarm();
  RememberInstance();
}

void Instance::Arm(absl::Duration delay, InstanceEvent event) {
  Disarm();
  timer_ =
      environment_.timers.RunAfter(delay, [this, event] { OnTimer(event); });
}

void Instance::Disarm() {
  environment_.timers.Cancel(std::exchange(timer_, kNoTimer));
  next_retry_at_.reset();
}

InstanceSnapshot Instance::Snapshot() const {
  InstanceSnapshot snapshot;
  snapshot.index = index_;
  snapshot.generation = generation_;
  snapshot.pid = pid_;
  snapshot.state = state_;
  snapshot.restarts = restarts_;
  snapshot.last_exit = last_exit_;
  snapshot.next_retry_at = next_retry_at_;
  snapshot.problem = problem_;
  snapshot.connector = connector_;
  if (phase_ == Phase::kRunning) {
    snapshot.started_at = started_at_;
    snapshot.uptime = environment_.timers.Now() - spawned_at_;
  }
  return snapshot;
}

}  // namespace apm::supervisor
