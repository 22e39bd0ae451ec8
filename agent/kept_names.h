// The names under which the agent keeps things with the keeper, for the agent
// that comes after it.
//
//   descriptors   stdin:web/0/17   stdout: stderr: stray:   links sessions ...
//   notes         process:web/0/17   instance:web/0   daemon
//
// A worker's name has no slash (agent/config).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/supervisor/instance_key.h"

namespace apm::agent {

inline constexpr std::string_view kLinkRecordsName = "links";
inline constexpr std::string_view kSessionRecordsName = "sessions";
inline constexpr std::string_view kCountersName = "counters";
inline constexpr std::string_view kEventsName = "events";

// A note about the daemon itself; none before its first boot is complete.
inline constexpr std::string_view kDaemonNoteName = "daemon";
inline constexpr std::string_view kDaemonRuns = "runs";
inline constexpr std::string_view kDaemonStops = "stops";

// The agent's ends of a process's pipes.
enum class PipeEnd : uint8_t {
  kStdin,   // To write.
  kStdout,  // To read, and so the others.
  kStderr,
  kStray,  // What the proxy found between the frames of its stdout.
};
inline constexpr PipeEnd kPipeEnds[] = {PipeEnd::kStdin, PipeEnd::kStdout,
                                        PipeEnd::kStderr, PipeEnd::kStray};

std::string PipeName(PipeEnd end, const supervisor::InstanceKey& key);
std::optional<std::pair<PipeEnd, supervisor::InstanceKey>> ParsePipeName(
    std::string_view name);

std::string ProcessNoteName(const supervisor::InstanceKey& key);
std::optional<supervisor::InstanceKey> ParseProcessNoteName(
    std::string_view name);

struct InstancePlace {
  std::string worker;
  uint32_t instance = 0;

  friend auto operator<=>(const InstancePlace&, const InstancePlace&) = default;
};

std::string InstanceNoteName(const InstancePlace& place);
std::optional<InstancePlace> ParseInstanceNoteName(std::string_view name);

}  // namespace apm::agent
