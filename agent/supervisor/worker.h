// One worker: its instances, and the commands that wait for them.
//
// Level-triggered: events change machines, then Settle() looks at all of them
// and moves on what can move. No command has a state machine of its own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/memo.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/slot.h"
#include "agent/supervisor/stats.h"
#include "agent/supervisor/worker_spec.h"

namespace apm::supervisor {

// Owned by the Supervisor, which calls Settle() after every command and event.
class Worker {
 public:
  using Done = std::function<void(absl::Status)>;
  using Index = std::optional<uint32_t>;  // Empty: all instances.

  Worker(Environment& environment, WorkerSpec spec);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Commands; see Supervisor. REQUIRES: `index` exists; !deleting() except for
  // Stop and Delete.
  void Start(Index index, Done done);
  void Stop(Index index, Done done);
  void Restart(Index index, Done done);
  void Reload(Index index, Done done);
  void Scale(uint32_t instances, Done done);
  void Delete(Done done);
  void Resume(Index index);

  // REQUIRES: the name and pipe_mode are the same. `instances` is ignored.
  void Update(WorkerSpec spec);

  // From an earlier agent. An instance above instances() is stopped.
  void Restore(uint32_t index, const InstanceMemo& memo);
  void Adopt(const AdoptedProcess& process);

  // Ends every command with `status`.
  void Abort(const absl::Status& status);

  // Null for a process that is not ours any more.
  Instance* Find(const InstanceKey& key);
  void OnExited(const InstanceKey& key, const ProcessExit& exit);
  void OnSwept(const InstanceKey& key);

  void Settle();

  bool deleting() const { return deleting_; }
  bool gone() const;  // Deleted: nothing runs and nobody waits.
  uint32_t instances() const { return spec_.instances; }
  const WorkerSpec& spec() const { return spec_; }
  WorkerSnapshot Snapshot() const;

 private:
  // A command that waits; each instance leaves `remaining` when it is there.
  struct Waiter {
    enum class Goal : uint8_t {
      kUp,
      kDown,
      kScaled,  // Up, or gone if there is no such instance any more.
    } goal;
    std::vector<uint32_t> remaining;
    Done done;
  };
  struct RollingReload {
    std::vector<uint32_t> remaining;  // Instances, the next one last.
    Done done;
    bool replaced = false;  // The next one, up to the end of the old process.
    size_t finished = 0;
  };

  std::vector<uint32_t> Indexes(Index index) const;
  // Those that are on their way out too.
  std::vector<uint32_t> IndexesWithRetired(Index index) const;
  void AddWaiter(Waiter::Goal goal, std::vector<uint32_t> indexes, Done done);
  void AbortWaiters(const std::function<bool(const Waiter&)>& affected,
                    const absl::Status& status);
  // Of the commands that wait for one of these instances to be up.
  void AbortStarts(const std::vector<uint32_t>& indexes,
                   const absl::Status& status);
  void AbortReloads(const absl::Status& status);
  // The indexes that an earlier Scale waited for.
  std::vector<uint32_t> AbortScales();
  void LeaveOutOfReloads(uint32_t first_index);  // And all above.
  void GrowTo(size_t slots);

  void SettleSlots();
  void RemoveRetired();
  void SettleWaiters();
  // What `waiter` has come to; empty while it waits.
  std::optional<absl::Status> Judge(Waiter& waiter) const;
  void SettleReloads();
  // One step of `reload`; empty while it has to wait.
  std::optional<absl::Status> Advance(RollingReload& reload);
  void Complete(Done done, absl::Status status);

  Environment& environment_;
  WorkerSpec spec_;  // Instances refer to it: it changes in place.
  // More than spec_.instances while those that were scaled away stop.
  std::vector<Slot> slots_;
  std::vector<Waiter> waiters_;
  std::deque<RollingReload> reloads_;  // The first one runs.
  bool deleting_ = false;
};

}  // namespace apm::supervisor
