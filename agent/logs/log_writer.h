// Owns one worker's log file: appends whole batches with one write each, and
// rotates it.
//
//   web.log.4 -> web.log.5, ..., web.log -> web.log.1, then a new web.log
//
// By rename only: no line is copied, cut, or written while its file moves, and
// whoever has a file open keeps it. When a rename fails, writing goes on in
// the file there is.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/logs/log_files.h"
#include "agent/logs/log_policy.h"

namespace apm::logs {

// write(2), so that tests can fill the disk.
using WriteFunction =
    std::function<ssize_t(int fd, const char* data, size_t size)>;
ssize_t SystemWrite(int fd, const char* data, size_t size);

// Thread: the log thread.
class LogWriter {
 public:
  // Is told of everything that was written: to which file, from which offset.
  using WrittenFunction = std::function<void(
      const LogFilePtr& file, uint64_t offset, std::string_view bytes)>;

  LogWriter(std::string path, RotationPolicy policy, WriteFunction write,
            WrittenFunction on_written = nullptr)
      : path_(std::move(path)),
        write_(std::move(write)),
        on_written_(std::move(on_written)) {
    SetPolicy(policy);
  }

  void SetPolicy(RotationPolicy policy);

  // Appends `batch`, whole lines each with its newline; a line is never split
  // between two files. Returns how many of its bytes are in them: fewer than
  // all if no file could be opened or the disk is full. The rest is lost; a
  // line that was cut is ended by the next Append, so that only it is torn.
  size_t Append(std::string_view batch, absl::Time now);

  // Why the last Append was not complete, an errno.
  int error() const { return error_; }

 private:
  bool Open(absl::Time now, uint64_t previous = 0);
  // Learns how large the file is, and opens a new one if it was removed.
  bool Refresh(absl::Time now);
  size_t WriteAll(std::string_view bytes);
  bool IsDue(absl::Time now) const;
  // How much of `batch` belongs into the current file: 0 if none does.
  size_t FitOf(std::string_view batch) const;
  void Rotate(absl::Time now);
  absl::Status MoveAway();

  const std::string path_;
  const WriteFunction write_;
  const WrittenFunction on_written_;
  RotationPolicy policy_;
  LogFilePtr file_;    // Opened at the first Append; again after a failure.
  uint64_t size_ = 0;  // Of file_.
  uint64_t rotate_at_ = 0;        // max_bytes, or more after a failed rotation.
  absl::Time age_from_;           // When the first line was written.
  bool torn_ = false;             // The file ends within a line.
  bool rotation_failed_ = false;  // Said already.
  int error_ = 0;
};

}  // namespace apm::logs
