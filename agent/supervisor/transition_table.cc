// Every meeting of a state and an event is written down, also those that mean
// nothing: a late event is then ignored because somebody thought about it, and
// not because an `if` happened to be false.

#include "agent/supervisor/transition_table.h"

#include <cstddef>
#include <string_view>

namespace apm::supervisor {
namespace {

using State = InstanceState;
using Action = InstanceAction;

// The cells, by what they do.
constexpr Transition kNone{State::kStopped, Action::kIgnore};  // See Row.
constexpr Transition kLaunch{State::kStarting, Action::kLaunch};
constexpr Transition kAttach{State::kStarting, Action::kAttach};
constexpr Transition kServe{State::kReady, Action::kServe};
constexpr Transition kLost{State::kUnready, Action::kAwaitEnd};
constexpr Transition kRecycle{State::kUnready, Action::kSignal};
constexpr Transition kForce{State::kUnready, Action::kKill};
constexpr Transition kDiscard{State::kUnready, Action::kDiscard};
constexpr Transition kDrain{State::kStopping, Action::kDrain};
constexpr Transition kSignal{State::kStopping, Action::kSignal};
constexpr Transition kKill{State::kStopping, Action::kKill};
constexpr Transition kSweep{State::kStopping, Action::kAwaitSweep};
constexpr Transition kBackoff{State::kBackoff, Action::kAwaitRetry};
constexpr Transition kLoop{State::kCrashloop, Action::kAwaitRetry};
constexpr Transition kStopped{State::kStopped, Action::kRest};
constexpr Transition kExited{State::kExited, Action::kRest};
constexpr Transition kFailed{State::kFailed, Action::kRest};

// An ignored event leaves the state as it is.
template <typename... Cells>
constexpr std::array<Transition, kInstanceEvents> Row(State self,
                                                      Cells... cells) {
  static_assert(sizeof...(cells) == kInstanceEvents, "one cell an event");
  std::array<Transition, kInstanceEvents> row = {cells...};
  for (Transition& cell : row) {
    if (cell.action == Action::kIgnore) cell.next = self;
  }
  return row;
}

// A row that was forgotten consists of kStopped and kIgnore.
constexpr bool EveryRowIsThere(const TransitionTable& table) {
  for (size_t state = 0; state < table.size(); ++state) {
    for (const Transition& cell : table[state]) {
      if (cell.action == Action::kIgnore &&
          cell.next != static_cast<State>(state)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

// clang-format off
constexpr TransitionTable kTransitions = {
  //                     start    stop      spawned   ready   link_lost link_torn drained  timeout   stop_timeout
  //                     and ended: restart  backoff   crashloop for_good gave_up    swept
  Row(State::kStopped,   kLaunch, kNone,    kNone,    kNone,  kNone,    kNone,    kNone,   kNone,    kNone,
                                    kNone,    kNone,    kNone,    kNone,    kNone,   kNone),
  Row(State::kStarting,  kNone,   kDrain,   kAttach,  kServe, kLost,    kDiscard, kNone,   kRecycle, kNone,
                                    kLaunch,  kBackoff, kLoop,    kExited,  kFailed, kNone),
  Row(State::kReady,     kNone,   kDrain,   kNone,    kNone,  kLost,    kDiscard, kNone,   kNone,    kNone,
                                    kLaunch,  kBackoff, kLoop,    kExited,  kFailed, kNone),
  Row(State::kUnready,   kNone,   kSignal,  kRecycle, kNone,  kNone,    kDiscard, kNone,   kRecycle, kForce,
                                    kLaunch,  kBackoff, kLoop,    kExited,  kFailed, kNone),
  Row(State::kStopping,  kNone,   kNone,    kSignal,  kNone,  kSignal,  kSignal,  kSignal, kSignal,  kKill,
                                    kSweep,   kSweep,   kSweep,   kSweep,   kSweep,  kStopped),
  Row(State::kBackoff,   kLaunch, kStopped, kNone,    kNone,  kNone,    kNone,    kNone,   kLaunch,  kNone,
                                    kNone,    kNone,    kNone,    kNone,    kNone,   kNone),
  Row(State::kCrashloop, kLaunch, kStopped, kNone,    kNone,  kNone,    kNone,    kNone,   kLaunch,  kNone,
                                    kNone,    kNone,    kNone,    kNone,    kNone,   kNone),
  Row(State::kExited,    kLaunch, kStopped, kNone,    kNone,  kNone,    kNone,    kNone,   kNone,    kNone,
                                    kNone,    kNone,    kNone,    kNone,    kNone,   kNone),
  Row(State::kFailed,    kLaunch, kStopped, kNone,    kNone,  kNone,    kNone,    kNone,   kNone,    kNone,
                                    kNone,    kNone,    kNone,    kNone,    kNone,   kNone),
};
// clang-format on
static_assert(static_cast<size_t>(State::kFailed) + 1 == kInstanceStates);
static_assert(static_cast<size_t>(InstanceEvent::kSwept) + 1 ==
              kInstanceEvents);
static_assert(EveryRowIsThere(kTransitions));

std::string_view Name(InstanceState state) {
  switch (state) {
    case InstanceState::kStopped:
      return "stopped";
    case InstanceState::kStarting:
      return "starting";
    case InstanceState::kReady:
      return "ready";
    case InstanceState::kUnready:
      return "unready";
    case InstanceState::kStopping:
      return "stopping";
    case InstanceState::kBackoff:
      return "backoff";
    case InstanceState::kCrashloop:
      return "crashloop";
    case InstanceState::kExited:
      return "exited";
    case InstanceState::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string_view Name(InstanceEvent event) {
  switch (event) {
    case InstanceEvent::kStart:
      return "start";
    case InstanceEvent::kStop:
      return "stop";
    case InstanceEvent::kSpawned:
      return "spawned";
    case InstanceEvent::kReady:
      return "ready";
    case InstanceEvent::kLinkLost:
      return "link_lost";
    case InstanceEvent::kLinkTorn:
      return "link_torn";
    case InstanceEvent::kDrained:
      return "drained";
    case InstanceEvent::kTimeout:
      return "timeout";
    case InstanceEvent::kStopTimeout:
      return "stop_timeout";
    case InstanceEvent::kEndedRestart:
      return "ended_restart";
    case InstanceEvent::kEndedBackoff:
      return "ended_backoff";
    case InstanceEvent::kEndedCrashloop:
      return "ended_crashloop";
    case InstanceEvent::kEndedForGood:
      return "ended_for_good";
    case InstanceEvent::kEndedGaveUp:
      return "ended_gave_up";
    case InstanceEvent::kSwept:
      return "swept";
  }
  return "unknown";
}

std::string_view Name(InstanceAction action) {
  switch (action) {
    case InstanceAction::kIgnore:
      return "ignore";
    case InstanceAction::kLaunch:
      return "launch";
    case InstanceAction::kAttach:
      return "attach";
    case InstanceAction::kServe:
      return "serve";
    case InstanceAction::kAwaitEnd:
      return "await_end";
    case InstanceAction::kDrain:
      return "drain";
    case InstanceAction::kSignal:
      return "signal";
    case InstanceAction::kKill:
      return "kill";
    case InstanceAction::kDiscard:
      return "discard";
    case InstanceAction::kAwaitSweep:
      return "await_sweep";
    case InstanceAction::kAwaitRetry:
      return "await_retry";
    case InstanceAction::kRest:
      return "rest";
  }
  return "unknown";
}

}  // namespace apm::supervisor
