// Owns one worker's log file.
//
// Appends whole batches with one write each. The one place that knows the
// file: rotation belongs here.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/os/unique_fd.h"

namespace apm::logs {

// write(2), so that tests can fill the disk.
using WriteFunction =
    std::function<ssize_t(int fd, const char* data, size_t size)>;
ssize_t SystemWrite(int fd, const char* data, size_t size);

// Thread: the log thread.
class LogWriter {
 public:
  LogWriter(std::string path, WriteFunction write)
      : path_(std::move(path)), write_(std::move(write)) {}

  // Appends `batch`, whole lines each with its newline. Returns how many of
  // its bytes are in the file: fewer than all if the file could not be opened
  // or the disk is full. The rest is lost; a line that was cut is ended by the
  // next Append, so that only it is torn.
  size_t Append(std::string_view batch);

 private:
  bool Open();
  size_t WriteAll(std::string_view bytes);

  const std::string path_;
  const WriteFunction write_;
  UniqueFd file_;      // Opened at the first Append; again after a failure.
  bool torn_ = false;  // The file ends within a line.
};

}  // namespace apm::logs
