// What the supervisor needs of the world. The agent implements these with the
// keeper's and the proxy's channels, the tests with fakes.
//
// Calls go out, results come back as Supervisor::On...() events, later: no
// implementation may call the supervisor from inside one of these functions.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include <absl/time/time.h>

#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/transition_table.h"

namespace apm::supervisor {

// Processes of workers. A port to the keeper.
class Processes {
 public:
  virtual ~Processes() = default;

  // Prepares environment and pipes and spawns. Answered by exactly one of
  // OnSpawned and OnSpawnFailed (local errors too); OnSpawned is followed by
  // exactly one OnExited.
  virtual void Launch(const InstanceKey& key) = 0;

  // Sends `signal` to the whole process group. Only called between OnSpawned
  // and OnExited of `key`; harmless if the process has just ended.
  virtual void Signal(const InstanceKey& key, int signal) = 0;
};

// What clients that stay connected may expect.
enum class StopReason : uint8_t {
  kReplaced,  // Another process follows, or is there: they may come again.
  kForGood,   // By command; nobody serves them until the next one.
};

// Sessions of pipe-mode workers. A port to the proxy; never called for other
// workers.
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
};

}  // namespace apm::supervisor
