// The life of an instance as one table: what each event means in each state.
//
// Pure data. agent/supervisor/README.md shows it; Instance performs the
// actions.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace apm::supervisor {

enum class InstanceState : uint8_t {
  kStopped,    // By command, or never started. No process.
  kStarting,   // Launched; not ready yet.
  kReady,      // Runs and may be relied on.
  kUnready,    // Runs but is of no use; it is being replaced.
  kStopping,   // Drains, or has been sent its stop signal.
  kBackoff,    // Ended; the next attempt waits for its time.
  kCrashloop,  // Ended too often; attempts are rare now.
  kExited,     // Ended, and the restart policy leaves it so.
  kFailed,     // Could not be started, and is not tried again.
};
inline constexpr size_t kInstanceStates = 9;

enum class InstanceEvent : uint8_t {
  kStart,        // Commanded.
  kStop,         // Commanded.
  kSpawned,      // The process exists.
  kReady,        // Its first frame, or alive for ready_after.
  kLinkLost,     // It closed its pipes.
  kLinkTorn,     // Its proxy died in the middle of a frame.
  kDrained,      // No session is left.
  kTimeout,      // The time for this state's step is up; see README.md.
  kStopTimeout,  // Still alive stop_timeout after a signal.
  // The process is gone, or could not be made; what follows was decided by
  // the restart policy (Instance::JudgeEnd).
  kEndedRestart,    // Again, now.
  kEndedBackoff,    // Again, after a wait.
  kEndedCrashloop,  // Again, much later.
  kEndedForGood,    // The policy says to leave it.
  kEndedGaveUp,     // It cannot be started.
  kSwept,           // Nothing that it left behind lives, or it never was.
};
inline constexpr size_t kInstanceEvents = 15;

enum class InstanceAction : uint8_t {
  kIgnore,      // Means nothing here.
  kLaunch,      // A new generation; start_timeout runs.
  kAttach,      // Traffic gets the pipes; ready_after runs.
  kServe,       // The start has succeeded.
  kAwaitEnd,    // A short time for the exit to be reported.
  kDrain,       // No new sessions; drain_timeout runs.
  kSignal,      // stop_signal and SIGCONT, once; stop_timeout runs.
  kKill,        // SIGKILL; stop_timeout runs again.
  kDiscard,     // The same without a stop signal before it.
  kAwaitSweep,  // The process is gone; what it left behind is looked for.
  kAwaitRetry,  // The wait for the next attempt runs.
  kRest,        // No timer.
};

struct Transition {
  InstanceState next;
  InstanceAction action;
};

using TransitionTable =
    std::array<std::array<Transition, kInstanceEvents>, kInstanceStates>;

extern const TransitionTable kTransitions;  // [state][event]

inline const Transition& Lookup(InstanceState state, InstanceEvent event) {
  return kTransitions[static_cast<size_t>(state)][static_cast<size_t>(event)];
}

// Names for people and interfaces: "crashloop", "stop_timeout", "await_retry".
std::string_view Name(InstanceState state);
std::string_view Name(InstanceEvent event);
std::string_view Name(InstanceAction action);

}  // namespace apm::supervisor
