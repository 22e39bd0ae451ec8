// One line of a worker's log file, as text and as a value.
//
//   2026-11-21T12:00:00.123456Z err 0 listening on port 3000
//   {"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"x"}
//
// UTC with microseconds (RFC 3339), stream, instance, then the worker's text
// up to the newline: its bytes as they are, control characters too; in JSON
// what is not UTF-8 is replaced. Text cannot forge a line, since every line
// gets its own prefix; who shows it on a terminal has to defend that terminal.
// Pure: no I/O.

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

// In a file, the prefix included: JSON takes up to six bytes for one.
inline constexpr size_t kMaxStoredLineBytes = 6 * kMaxLineBytes + 128;

enum class Stream : uint8_t { kOut, kErr };
enum class LineFormat : uint8_t { kText, kJson };

// "out", "err".
std::string_view Name(Stream stream);

struct LogLine {
  absl::Time time;
  Stream stream = Stream::kOut;
  uint32_t instance = 0;
  std::string text;

  friend bool operator==(const LogLine&, const LogLine&) = default;
};

// What leads the text. One prefix serves all lines that were read at one time.
std::string FormatPrefix(absl::Time time, Stream stream, uint32_t instance,
                         LineFormat format = LineFormat::kText);

// Appends the whole line with its newline; `prefix` is of the same format.
// REQUIRES: no newline in `text`.
void AppendLine(std::string_view prefix, std::string_view text,
                LineFormat format, std::string& out);

std::string FormatLine(const LogLine& line,
                       LineFormat format = LineFormat::kText);

// Reads a line of either format, without its newline; nullopt if it is not one
// of ours (torn, or written by somebody else).
std::optional<LogLine> ParseLine(std::string_view line);

// The time of a line of which perhaps only the beginning is there.
std::optional<absl::Time> ParseTime(std::string_view beginning_of_line);

// The same as text: as FormatTimestamp writes it, so that texts compare like
// times. Empty if there is none.
std::string_view TimestampOf(std::string_view beginning_of_line);
std::string FormatTimestamp(absl::Time time);

// How much of a line these two look at.
inline constexpr size_t kTimeEnd = 40;

}  // namespace apm::logs
