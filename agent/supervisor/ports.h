// What the supervisor needs of the world. The agent implements these with the
// keeper's and the proxy's channels, the tests with fakes.
//
// Calls go out, results come back as Supervisor::On...() events, later: no
// implementation may call the supervisor from inside one of these functions.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/memo.h"
#include "agent/supervisor/stop_reason.h"
#include "agent/supervisor/transition_table.h"

namespace apm::supervisor {

// A process that outlived the process group of its worker.
struct Survivor {
  pid_t pid = 0;
  std::string command;  // "sleep"
  std::string why;      // "had started a session of its own"

  friend bool operator==(const Survivor&, const Survivor&) = default;
};

// Processes of workers. A port to the keeper.
class Processes {
 public:
  virtual ~Processes() = default;

  // Notes for the agent that follows this one if it is killed; each replaces
  // the one before. They must reach the keeper in the order of all calls
  // here: what is remembered before a Launch is known if the process is.
  // A process's note is dropped after Supervisor::OnSwept or OnSpawnFailed of
  // it, an instance's at Observer::OnInstanceRemoved; one that is found
  // without its process was never launched, and is dropped too.
  virtual void Remember(const InstanceKey& key, const ProcessMemo& memo) = 0;
  virtual void Remember(std::string_view worker, uint32_t instance,
                        const InstanceMemo& memo) = 0;

  // Prepares environment and pipes and spawns. Answered by exactly one of
  // OnSpawned and OnSpawnFailed (local errors too); OnSpawned is followed by
  // exactly one OnExited.
  virtual void Launch(const InstanceKey& key) = 0;

  // Sends `signal` to the whole process group. Only called between OnSpawned
  // and OnExited of `key`; harmless if the process has just ended.
  virtual void Signal(const InstanceKey& key, int signal) = 0;

  // Ends what `key` has left behind: the rest of its process group, and
  // whoever else carries its tag. Called once for each OnExited, from inside
  // it, whether or not the supervisor knows the process; answered by exactly
  // one OnSwept. The exit is dealt with, and may be acknowledged, after that.
  virtual void Sweep(const InstanceKey& key) = 0;
};

// Sessions of pipe-mode workers. A port to the proxy; never called for other
// workers.
//
// An adopted process that was spawned counts as attached, whether or not the
// proxy has its link by now: linking it again is the launcher's business.
// Ready, if it was ready, and Drain, if it was being drained, are called for
// it once more, from inside Supervisor::Adopt; Detach at its end.
class Traffic {
 public:
  virtual ~Traffic() = default;

  // Gives the proxy the pipes; sessions may be sent from now on, where no
  // instance is there that has proven itself. Called once, right after
  // OnSpawned.
  virtual void Attach(const InstanceKey& key) = 0;

  // The instance may be relied on: it gets its share of the sessions. Called
  // at most once after Attach.
  virtual void Ready(const InstanceKey& key) = 0;

  // No new sessions. Answered by OnDrained when none is left or `deadline`
  // has passed; the supervisor waits no longer than that by itself.
  virtual void Drain(const InstanceKey& key, StopReason reason,
                     absl::Duration deadline) = 0;

  // The process is gone: read what it has left, close the pipes. Called once
  // for each Attach, after OnExited.
  virtual void Detach(const InstanceKey& key) = 0;
};

// Hears what happens: the source of events, logs and desired-state records.
class Observer {
 public:
  virtual ~Observer() = default;

  // `reason` is for people and may be empty: "exited with status 1".
  virtual void OnStateChanged(const InstanceKey& key, InstanceState from,
                              InstanceState to, std::string_view reason) = 0;

  // The process group outlived stop_signal for `waited` and got SIGKILL.
  virtual void OnKilled(const InstanceKey& key, pid_t pid,
                        absl::Duration waited) = 0;

  // The process has ended, and these had to be killed after it: at least one.
  virtual void OnSurvivors(const InstanceKey& key,
                           std::span<const Survivor> survivors) = 0;

  // Scaled down or deleted, and nothing of it is left: its note can go.
  virtual void OnInstanceRemoved(std::string_view worker,
                                 uint32_t instance) = 0;
};

}  // namespace apm::supervisor
