// Keeps workers running: the policy, and nothing but the policy.
//
//   Supervisor supervisor({.timers = loop, .clock = clock, ...});
//   supervisor.Add({.name = "web", .instances = 2, .pipe_mode = true});
//   supervisor.Start({"web"}, [](absl::Status status) { ... });
//   // later, from the keeper's channel:
//   supervisor.OnSpawned(key, pid);
//
// It starts no process and moves no byte: ports.h is how it acts, the On...()
// events are how it learns. agent/supervisor/README.md has the states, the
// commands that meet each other, and why.
//
// After a crash of the agent its successor says what is there before it says
// what should be:
//
//   supervisor.Add(spec);                            // From the store.
//   supervisor.Restore("web", 0, instance_memo);     // From the keeper's
//   notes. supervisor.Adopt({key, pid, started, memo});     // From the
//   keeper's table. supervisor.Resume({"web"});                      // Or
//   Stop, or Delete. supervisor.OnExited(key, exit);                  // What
//   it has missed.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/memo.h"
#include "agent/supervisor/ports.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/stats.h"
#include "agent/supervisor/worker_spec.h"
#include "base/os/clock.h"
#include "base/os/timers.h"

namespace apm::supervisor {

class Instance;
class Worker;
struct Environment;

// Of one worker; agent/config allows as many.
inline constexpr uint32_t kMaxInstances = 1024;

// What a command is for: all instances of a worker, or one.
struct Target {
  std::string worker;
  std::optional<uint32_t> instance;
};

// Called exactly once, possibly before the command returns; may give further
// commands, must not destroy the supervisor. A supervisor that is destroyed
// calls what is left with kAborted.
using Done = std::function<void(absl::Status)>;

// Thread: the agent's main loop.
class Supervisor {
 public:
  struct Options {
    Timers& timers;
    const Clock& clock;
    Processes& processes;
    Traffic& traffic;
    Observer& observer;
    std::function<double()> random;  // Uniform in [0, 1): jitter.
    // Generations count up from here. Give each incarnation of the agent a
    // range of its own: the keeper may still know the last one's processes.
    uint64_t first_generation = 1;
  };

  explicit Supervisor(Options options);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor();  // Signals nobody.

  // Takes on a worker, stopped. kAlreadyExists if the name is taken (also
  // while it is being deleted), kInvalidArgument without a name or instances,
  // kUnavailable after StopAll.
  absl::Status Add(WorkerSpec spec);

  // Replaces the specification of a worker; what runs goes on, timers that run
  // keep their time. `instances` is ignored: that is Scale's. kNotFound;
  // kInvalidArgument if pipe_mode differs, since a process has pipes or not;
  // kFailedPrecondition while the worker is being deleted.
  absl::Status Update(WorkerSpec spec);

  // What an earlier agent left. After Add of the worker, before its first
  // command and before any event; Restore before Adopt. Both: kNotFound for an
  // unknown worker (its processes are nobody's: Add it with a specification
  // that says how they are to be stopped, Adopt, and Delete).
  //
  // A resting instance rests on: a job that has done its work is not run
  // again, a crash loop stays one.
  absl::Status Restore(std::string_view worker, uint32_t instance,
                       const InstanceMemo& memo);

  // The process goes on as its memo says; it is stopped if it is a replacement
  // that was not ready yet, if its instance is above WorkerSpec::instances, if
  // a better one has its place, or if it has no memo. No state change is
  // reported but those of processes that are stopped for this.
  // kInvalidArgument for an instance number that cannot be (kMaxInstances).
  absl::Status Adopt(const AdoptedProcess& process);

  // The boot's start: launches the targeted instances that are stopped, and
  // those that are being stopped, once they are; leaves alone what runs and
  // what rests (backoff, crashloop, exited, failed). kNotFound, kUnavailable
  // and kFailedPrecondition as Start.
  absl::Status Resume(const Target& target);

  // Commands. All of them: kNotFound for an unknown worker or instance,
  // kAborted if a later command makes this one pointless. Start, Restart and
  // Reload: kFailedPrecondition with the reason at the first failure, while
  // supervision goes on; kUnavailable after StopAll or while the worker is
  // being deleted.

  // OK when every targeted instance is ready (or has ended with success and
  // its policy leaves it so). Forgets backoff and crash loop. An instance that
  // is ready is not touched; one that is stopping starts when it has stopped.
  void Start(const Target& target, Done done);

  // OK when every targeted instance has stopped. Aborts waiting Start,
  // Restart and Reload commands.
  void Stop(const Target& target, Done done);

  // Stops what runs and starts it, all instances at once. Aborts reloads.
  void Restart(const Target& target, Done done);

  // Replaces instances one by one: a new process is launched and ready before
  // the old one drains. If the new one does not come up, the old one stays,
  // the reload ends there and the status says why. Stopped instances are left
  // alone; kFailedPrecondition if all are. Reloads of a worker queue up.
  void Reload(const Target& target, Done done);

  // Changes the number of instances. Up: new ones start, unless the whole
  // worker is stopped; OK when they are ready. Down: those with the highest
  // numbers drain, stop and are forgotten; OK when they are. Reloads go on for
  // the instances that stay. kInvalidArgument for 0 and above kMaxInstances;
  // kAborted by the next Scale.
  void Scale(std::string_view name, uint32_t instances, Done done);

  // Stops the worker, then forgets it.
  void Delete(std::string_view name, Done done);

  // Stops all workers concurrently; no command starts anything any more.
  void StopAll(Done done);

  // Events. Those of a process that is not current are ignored.
  void OnSpawned(const InstanceKey& key, pid_t pid);

  // `step` and `error` as apm-exec reports them; `text` is the sentence for
  // people ("exec '/usr/bin/node': No such file or directory"), composed of
  // the other two if empty.
  void OnSpawnFailed(const InstanceKey& key, std::string_view step, int error,
                     std::string_view text);
  void OnExited(const InstanceKey& key, const ProcessExit& exit);

  // The first frame of a pipe-mode worker.
  void OnHello(const InstanceKey& key, std::string_view connector);
  void OnDrained(const InstanceKey& key);

  // The worker closed its pipes while it still runs.
  void OnLinkLost(const InstanceKey& key);

  // Its proxy died in the middle of a frame: nothing that is sent to it would
  // be understood. It is killed and started anew, at once, and alone.
  void OnLinkTorn(const InstanceKey& key);

  // The answer to Processes::Sweep; `survivors` are who had to be killed.
  void OnSwept(const InstanceKey& key, std::span<const Survivor> survivors);

  // By name. Find: nullopt for an unknown worker.
  std::vector<WorkerSnapshot> Snapshot() const;
  std::optional<WorkerSnapshot> Find(std::string_view name) const;

 private:
  class Turn;

  absl::StatusOr<Worker*> Resolve(const Target& target) const;
  // The same for commands that start something.
  absl::StatusOr<Worker*> ResolveToStart(const Target& target) const;
  void Refuse(const absl::Status& status, Done done);
  Instance* FindInstance(const InstanceKey& key);
  void Settle(const std::string& name);
  void RunCompleted();

  std::unique_ptr<Environment> environment_;
  std::map<std::string, std::unique_ptr<Worker>, std::less<>> workers_;
  int turn_depth_ = 0;
  bool shut_down_ = false;  // StopAll was called.
};

}  // namespace apm::supervisor
