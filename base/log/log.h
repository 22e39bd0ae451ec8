// The program's own log: one line an event, to a file or to stderr.
//
//   log::Open({.path = "-", .program = "apm-agent"});
//   log::Info("worker '%s' is ready after %s", name, FormatDuration(took));
//
// Not for workers' output (agent/logs) nor for requests (proxy/access_log).
// The one global of the tree: a line must be possible from anywhere in main().

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_format.h>

namespace apm::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError, kOff };

struct Options {
  std::string path = "-";  // "-" is stderr; else appended to, mode 0640.
  std::string program;     // Leads each line, with the pid.
  Level level = Level::kInfo;
};

// Replaces where lines go; false if the file cannot be opened (errno says
// why), and lines go on to where they went. Before the first call: stderr.
bool Open(const Options& options);

// Writes to a descriptor that stays the caller's: for a sandboxed process.
void OpenFd(int fd, std::string_view program, Level level);

void SetLevel(Level level);
bool Enabled(Level level);

// Writes one line; control characters in `message` are escaped, so that a
// peer's bytes cannot forge a line. Thread-safe.
void Write(Level level, std::string_view message);

template <typename... Args>
void Debug(const absl::FormatSpec<Args...>& format, const Args&... args) {
  if (Enabled(Level::kDebug)) {
    Write(Level::kDebug, absl::StrFormat(format, args...));
  }
}
template <typename... Args>
void Info(const absl::FormatSpec<Args...>& format, const Args&... args) {
  if (Enabled(Level::kInfo)) {
    Write(Level::kInfo, absl::StrFormat(format, args...));
  }
}
template <typename... Args>
void Warning(const absl::FormatSpec<Args...>& format, const Args&... args) {
  if (Enabled(Level::kWarning)) {
    Write(Level::kWarning, absl::StrFormat(format, args...));
  }
}
template <typename... Args>
void Error(const absl::FormatSpec<Args...>& format, const Args&... args) {
  if (Enabled(Level::kError)) {
    Write(Level::kError, absl::StrFormat(format, args...));
  }
}

}  // namespace apm::log
