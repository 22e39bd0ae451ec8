// One place of a worker, and who takes it.
//
// Mostly that is one instance. A reload has a second one beside it: first
// `incoming`, until it is ready, then among the `leaving`, until nothing of it
// is left. A successor of the agent may find more that have to leave.

#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance.h"
#include "agent/supervisor/memo.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/stop_reason.h"
#include "agent/supervisor/worker_spec.h"

namespace apm::supervisor {

// Owned by a Worker. Settle() after everything that may have changed a state.
class Slot {
 public:
  // The references outlive the slot.
  Slot(Environment& environment, const WorkerSpec& spec, uint32_t index);

  const Instance& current() const { return *current_; }
  const Instance* incoming() const { return incoming_.get(); }  // May be null.

  // Waits for what leaves before it starts.
  bool start_pending() const { return start_pending_; }
  bool has_leaving() const { return !leaving_.empty(); }

  bool IsDown() const;           // Stopped; nothing is left, swept or not.
  bool IsMeantToBeDown() const;  // Stopped, or on the way there.

  // Commands, as Supervisor's.
  void Start();
  void Stop(StopReason reason, std::string_view why = "");
  void Restart();
  void Resume();
  void StartIfPending();

  // The steps of a reload. REQUIRES: incoming() for the last two.
  void LaunchReplacement();
  void PromoteReplacement();
  void DropReplacement();

  // From an earlier agent.
  void Restore(const InstanceMemo& memo) { current_->Restore(memo); }
  void Adopt(const AdoptedProcess& process);

  // Null for a process that is not ours any more.
  Instance* Find(uint64_t generation);
  void OnExited(uint64_t generation, const ProcessExit& exit);
  void OnSwept(uint64_t generation);
  void Settle();  // Forgets who has left.

 private:
  std::unique_ptr<Instance> NewInstance(Role role) const;
  // REQUIRES: it has a memo.
  bool BeatsCurrent(const AdoptedProcess& process) const;
  // Stops it, and keeps it until it has.
  void Dismiss(std::unique_ptr<Instance> instance, StopReason reason,
               std::string_view why);

  Environment& environment_;
  const WorkerSpec& spec_;
  uint32_t index_;
  std::unique_ptr<Instance> current_;
  std::unique_ptr<Instance> incoming_;
  std::vector<std::unique_ptr<Instance>> leaving_;
  std::set<uint64_t> unswept_;  // Generations that ended.
  bool start_pending_ = false;
};

}  // namespace apm::supervisor
