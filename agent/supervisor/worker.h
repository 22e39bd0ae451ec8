// One worker: its instances, and the commands that wait for them.
//
// Level-triggered: events change machines, then Settle() looks at all of them
// and moves on what can move. No command has a state machine of its own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "agent/supervisor/environment.h"
#include "agent/supervisor/instance.h"
#include "agent/supervisor/instance_key.h"
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
  void Delete(Done done);

  // Ends every command with `status`.
  void Abort(const absl::Status& status);

  // Null for a process that is not ours any more.
  Instance* Find(const InstanceKey& key);

  void Settle();

  bool deleting() const { return deleting_; }
  bool gone() const;  // Deleted: nothing runs and nobody waits.
  uint32_t instances() const { return spec_.instances; }
  WorkerSnapshot Snapshot() const;

 private:
  // One place for a process. A reload has a second one beside `current`:
  // first `incoming`, until it is ready, then `outgoing`, until it has ended.
  struct Slot {
    std::unique_ptr<Instance> current;
    std::unique_ptr<Instance> incoming;
    std::unique_ptr<Instance> outgoing;
    bool start_pending = false;  // When what runs has stopped.

    bool IsDown() const;
  };

  // A command that waits; each instance leaves `remaining` when it is there.
  struct Waiter {
    enum class Goal : uint8_t { kUp, kDown } goal;
    std::vector<uint32_t> remaining;
    Done done;
  };
  struct RollingReload {
    std::vector<uint32_t> remaining;  // Instances, the next one last.
    Done done;
    bool replaced = false;  // The next one, up to the end of the old process.
  };

  std::vector<uint32_t> Indexes(Index index) const;
  void AddWaiter(Waiter::Goal goal, Index index, Done done);
  void AbortWaiters(Waiter::Goal goal, Index index, const absl::Status& status);
  void AbortReloads(const absl::Status& status);
  void StopSlot(Slot& slot, StopReason reason);

  void ClearOutgoing();
  void SettleWaiters();
  // What `waiter` has come to; empty while it waits.
  std::optional<absl::Status> Judge(Waiter& waiter) const;
  void StartPending();
  void SettleReloads();
  // One step of `reload`; empty while it has to wait.
  std::optional<absl::Status> Advance(RollingReload& reload);
  void Complete(Done done, absl::Status status);

  Environment& environment_;
  const WorkerSpec spec_;
  std::vector<Slot> slots_;
  std::vector<Waiter> waiters_;
  std::deque<RollingReload> reloads_;  // The first one runs.
  bool deleting_ = false;
};

}  // namespace apm::supervisor
