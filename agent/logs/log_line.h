// One line of a worker's log file, as text and as a value.
//
//   2026-11-21T12:00:00.123456Z err 0 listening on port 3000
//
// UTC with microseconds (RFC 3339), stream, instance, then the worker's text
// up to the newline: its bytes as they are, control characters too. Text
// cannot forge a line, since every line gets its own prefix; who shows it on a
// terminal has to defend that terminal. Pure: no I/O.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

namespace apm::logs {

// A worker's longer lines are stored as several.
inline constexpr size_t kMaxLineBytes = size_t{64} << 10;

enum class Stream : uint8_t { kOut, kErr };

// "out", "err".
std::string_view Name(Stream stream);

struct LogLine {
  absl::Time time;
  Stream stream = Stream::kOut;
  uint32_t instance = 0;
  std::string text;

  friend bool operator==(const LogLine&, const LogLine&) = default;
};

// What leads the text, trailing space included. One prefix serves all lines
// that were read at one time.
std::string FormatPrefix(absl::Time time, Stream stream, uint32_t instance);

// The whole line with its newline. REQUIRES: no newline in line.text.
std::string FormatLine(const LogLine& line);

// Reads a line without its newline; nullopt if it is not one of ours (torn,
// or written by somebody else).
std::optional<LogLine> ParseLine(std::string_view line);

}  // namespace apm::logs
