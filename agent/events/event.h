// What has happened on this node, as a value.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

namespace apm::events {

// What an event is about: the words of apm/v1/event.proto, append-only.
namespace type {
inline constexpr char kWorkerState[] = "worker.state";
inline constexpr char kWorkerCreated[] = "worker.created";
inline constexpr char kWorkerDeleted[] = "worker.deleted";
inline constexpr char kWorkerScaled[] = "worker.scaled";
inline constexpr char kWorkerReloaded[] = "worker.reloaded";
inline constexpr char kWorkerReloadFailed[] = "worker.reload_failed";
inline constexpr char kWorkerSurvivors[] = "worker.survivors";
inline constexpr char kConfigApplied[] = "config.applied";
inline constexpr char kAgentStarted[] = "agent.started";
inline constexpr char kProxyStarted[] = "proxy.started";
inline constexpr char kProxyExited[] = "proxy.exited";
inline constexpr char kKeeperReplaced[] = "keeper.replaced";
inline constexpr char kStoreFailed[] = "store.failed";
inline constexpr char kStoreRecovered[] = "store.recovered";
}  // namespace type

// A place between two events.
struct Cursor {
  uint64_t epoch = 0;     // Of one life of the daemon; never 0.
  uint64_t sequence = 0;  // Of the last event before it; 0: before the first.

  friend bool operator==(const Cursor&, const Cursor&) = default;
};

std::string Format(const Cursor& cursor);  // "EPOCH:SEQUENCE"

enum class Severity : uint8_t { kInfo, kWarning, kError };

std::string_view Name(Severity severity);  // "info", "warning", "error"

struct Exit {
  int32_t code = 0;    // Meaningless if `signal` is not 0.
  int32_t signal = 0;  // What killed it, or 0.
  bool core_dumped = false;
  uint64_t max_rss_bytes = 0;
  uint64_t cpu_ms = 0;

  friend bool operator==(const Exit&, const Exit&) = default;
};

// `{}`: so that one can be made of the fields that matter.
struct Event {
  Cursor cursor{};    // Its own; set by EventLog::Append().
  absl::Time time{};  // Kept in microseconds.
  std::string type{};
  Severity severity = Severity::kInfo;
  std::string worker{};      // Empty: the node's own.
  uint32_t instance = 0;     // Meaningful with `generation` above 0.
  uint64_t generation = 0;   // 0: of the whole worker.
  pid_t pid = 0;             // 0: none.
  std::string from_state{};  // Of kWorkerState.
  std::string to_state{};
  std::string text{};  // For people: one line.
  std::optional<Exit> exit{};
  // The last lines of its stderr, of a process that ended without having been
  // told to.
  std::vector<std::string> stderr_tail{};

  friend bool operator==(const Event&, const Event&) = default;
};

// Bounds what one event takes of the ring.
inline constexpr size_t kMaxTextBytes = 4096;
inline constexpr size_t kMaxTailLines = 50;
inline constexpr size_t kMaxTailLineBytes = 1024;
inline constexpr size_t kMaxNameBytes = 256;  // Type, worker, states.

// Cuts what is too long: a text at its end, the tail at its oldest lines.
void CutToLimits(Event& event);

}  // namespace apm::events
