// One process of a worker and its successors: performs the actions of the
// transition table.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/memo.h"
#include "agent/supervisor/ports.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/restart_pacer.h"
#include "agent/supervisor/stats.h"
#include "agent/supervisor/stop_reason.h"
#include "agent/supervisor/transition_table.h"
#include "agent/supervisor/worker_spec.h"
#include "base/os/timers.h"

namespace apm::supervisor {

// How long a worker whose pipes closed may take to end by itself, which is
// what closed pipes mean nearly always, before it is stopped.
inline constexpr absl::Duration kEndGrace = absl::Seconds(1);

// Has at most one process at a time. Owned by a Slot; its Worker looks at the
// state after every event; nothing is called back. Notes for a successor are
// written here, before the act they are about.
class Instance {
 public:
  // The references outlive the instance.
  Instance(Environment& environment, const WorkerSpec& spec, uint32_t index,
           Role role);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  // Commands. Start forgets backoff, crash loop and the last outcome, unless
  // the instance is ready.
  void Start();
  void Stop(StopReason reason, std::string_view why = "");

  // The reload has succeeded: a replacement becomes the principal, and what
  // was that is outgoing. Only a principal writes the instance's memo.
  void Promote();
  void Demote() { role_ = Role::kOutgoing; }

  // From an earlier agent. REQUIRES: nothing was commanded yet. Restore takes
  // on the history, and the rest if there is one; Adopt the process, which
  // ends a rest. No state change is reported.
  void Restore(const InstanceMemo& memo);
  void Adopt(const AdoptedProcess& process);
  InstanceMemo Memo() const;

  // Events. REQUIRES: they are of generation().
  void OnSpawned(pid_t pid);
  void OnSpawnFailed(std::string_view reason);
  void OnExited(const ProcessExit& exit);
  void OnHello(std::string_view connector);
  void OnDrained();
  void OnLinkLost();
  void OnLinkTorn();
  void OnSwept();

  uint32_t index() const { return index_; }
  uint64_t generation() const { return generation_; }
  InstanceState state() const { return state_; }
  bool has_process() const { return phase_ != Phase::kNone; }  // Or will.
  ProcessMemo::Phase process_phase() const;

  // What the last Start came to; empty while that is open.
  const std::optional<absl::Status>& outcome() const { return outcome_; }

  InstanceSnapshot Snapshot() const;

 private:
  enum class Phase : uint8_t { kNone, kLaunching, kRunning };

  void Handle(InstanceEvent event, std::string_view reason);
  void Perform(InstanceAction action);
  void Launch();
  void Attach();
  void Serve();
  void Drain();
  void Signal();
  void Kill();
  void Discard();
  void AwaitRetry();
  void ArmRetry();
  void Rest();

  // `success`: it ended as a program does that has done its work.
  void End(bool success, bool spawned, const std::string& reason);
  InstanceEvent JudgeEnd(bool success, bool spawned);
  void Fail(std::string reason);

  // Notes for a successor.
  ProcessMemo MakeProcessMemo() const;
  void RememberProcess();   // If there is anything new to say.
  void RememberInstance();  // With the end that it follows from.

  // The rest of Restore and Adopt.
  void RestoreRetry(const InstanceMemo& memo, absl::Duration longest);
  void GoOnAs(ProcessMemo::Phase phase);
  absl::Duration MonotonicAt(absl::Time wall) const;  // Not in the future.

  void Arm(absl::Duration delay, InstanceEvent event);
  void Disarm();
  void OnTimer(InstanceEvent event);
  InstanceKey Key() const { return {spec_.name, index_, generation_}; }

  Environment& environment_;
  const WorkerSpec& spec_;
  const uint32_t index_;
  Role role_;
  RestartPacer pacer_;
  InstanceState state_ = InstanceState::kStopped;
  TimerId timer_ = kNoTimer;  // One is enough: each state waits for one thing.

  // Of the process.
  uint64_t generation_ = 0;
  Phase phase_ = Phase::kNone;
  pid_t pid_ = 0;
  bool attached_ = false;
  StopReason stop_reason_ = StopReason::kForGood;
  bool signalled_ = false;
  bool killed_ = false;
  bool torn_ = false;
  absl::Duration spawned_at_;  // Monotonic.
  absl::Time started_at_;
  std::optional<absl::Duration> ready_at_;  // Monotonic.
  std::optional<absl::Time> ready_since_;   // The same, wall clock.
  std::string connector_;
  std::string unready_reason_;
  std::optional<ProcessMemo> remembered_;  // What a successor would read.

  // Of the instance.
  uint64_t restarts_ = 0;
  absl::Duration retry_wait_;
  std::optional<absl::Time> next_retry_at_;
  std::optional<ProcessExit> last_exit_;
  std::string problem_;
  std::optional<absl::Status> outcome_;
};

}  // namespace apm::supervisor
