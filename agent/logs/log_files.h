// The files of one worker's log: web.log is written, web.log.1 was before it,
// web.log.2 before that.
//
// Names change under whoever reads them: a rotation renames all. Open files do
// not, so both readers (log_reader.h, log_follower.h) hold files, not names.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm::logs {

// An open file; read with pread(2), so that any number of threads may.
struct LogFile {
  UniqueFd fd;
  uint64_t inode = 0;
  uint64_t previous = 0;  // The file that this one was rotated from, if known.
};

// Shared by: the writer (its current file) and every follower who is not
// through with it; the last of them closes it, removed or not.
using LogFilePtr = std::shared_ptr<const LogFile>;

// "web.log", 2 -> "web.log.2"; 0 is `path` itself.
std::string RotatedName(const std::string& path, int number);

// Opens a regular file without following a link. kNotFound, kFailedPrecondition
// if it is something else, or the error of open.
absl::StatusOr<LogFilePtr> OpenLogFile(const std::string& path);

// Walks from the newest file to the oldest. A rotation meanwhile hides no file
// (each moves towards the end, where the walk goes), and shows none twice.
class LogFileWalk {
 public:
  explicit LogFileWalk(std::string path) : path_(std::move(path)) {}

  // The next older file; null after the last one.
  absl::StatusOr<LogFilePtr> Older();

 private:
  const std::string path_;
  int number_ = 0;
  int missing_ = 0;            // Names in a row that do not exist.
  std::set<uint64_t> inodes_;  // Of what was returned.
};

}  // namespace apm::logs
