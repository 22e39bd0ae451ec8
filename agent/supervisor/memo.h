// What a successor must know: the supervisor's notes to the one that takes
// over if this agent is killed.
//
// One memo for each process and one for each instance. They are written before
// the act that they announce (ports.h), so a successor never meets a process
// that nobody told it of. The bytes are for the keeper's store: versioned, and
// read with suspicion, since whoever wrote them has crashed.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/stop_reason.h"
#include "agent/supervisor/transition_table.h"

namespace apm::supervisor {

// Which place of its instance a process takes.
enum class Role : uint8_t {
  kPrincipal,    // Restarted as the policy says.
  kReplacement,  // Launched by a reload: its first end is its failure.
  kOutgoing,     // On its way out; somebody else is the principal.
};

// Of one process.
struct ProcessMemo {
  enum class Phase : uint8_t {
    kStarting,
    kReady,
    kUnready,
    kStopping,
    kEnded,  // Its end was judged, and is part of the InstanceMemo: what is
             // left to do is the sweep.
  };

  Phase phase = Phase::kStarting;
  Role role = Role::kPrincipal;
  StopReason stop_reason = StopReason::kForGood;  // In kStopping.
  bool signalled = false;           // The stop signal has been sent.
  bool torn = false;                // kUnready because its link is torn.
  std::optional<absl::Time> ready;  // Since when, wall clock.
  std::string connector;            // At most kMaxMemoText bytes, as below.
  std::string problem;              // Why it is kUnready.

  friend bool operator==(const ProcessMemo&, const ProcessMemo&) = default;
};

// What RestartPacer goes by.
struct PacerMemo {
  uint32_t in_a_row = 0;
  bool looping = false;
  std::vector<absl::Time> ends;  // Within the window, oldest first.

  friend bool operator==(const PacerMemo&, const PacerMemo&) = default;
};

// Of one instance, whatever process it has.
struct InstanceMemo {
  // Goes on in backoff, crashloop, exited and failed. In the states of a
  // process it says that nothing rests: the process, if there is one, has a
  // memo of its own.
  InstanceState state = InstanceState::kStopped;
  uint64_t generation = 0;  // Of the latest attempt.
  uint64_t restarts = 0;
  PacerMemo pacer;
  std::optional<absl::Time> next_retry;  // In backoff and crashloop.
  std::optional<ProcessExit> last_exit;
  std::string problem;

  friend bool operator==(const InstanceMemo&, const InstanceMemo&) = default;
};

// A process of an earlier agent, as the keeper knows it.
struct AdoptedProcess {
  InstanceKey key;
  pid_t pid = 0;  // 0: still on its way through apm-exec.
  absl::Time started;
  std::optional<ProcessMemo> memo;  // Empty: none is there, or not readable.
};

// Longer texts are cut, at a character, when they are encoded. Of `ends` the
// latest kMaxMemoEnds are kept. Times are kept in whole microseconds.
inline constexpr size_t kMaxMemoText = 1024;
inline constexpr size_t kMaxMemoEnds = 64;

// Bytes, not text; a few dozen.
std::string Encode(const ProcessMemo& memo);
std::string Encode(const InstanceMemo& memo);

// Empty for what the Encode of this version cannot have written.
std::optional<ProcessMemo> DecodeProcessMemo(std::string_view bytes);
std::optional<InstanceMemo> DecodeInstanceMemo(std::string_view bytes);

}  // namespace apm::supervisor
