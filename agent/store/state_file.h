// The file itself: made, checked, moved aside. What is in it is database.h's.

#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace apm::store {

// Makes an empty file of mode 0600 where there is none. One that is there must
// be a plain file of this user and not a symlink, else kFailedPrecondition; its
// mode is corrected. REQUIRES: this process has no connection to it, whose
// locks this would end (sqlite.org/howtocorrupt.html, 2.2).
absl::Status PrepareStateFile(const std::string& path);

// Whether there is nothing to read: no file, or an empty one.
bool IsStateFileEmpty(const std::string& path);

// Renames the file and what SQLite has beside it to
// "<path>.corrupt-<unix time>", and returns that name.
// REQUIRES: as PrepareStateFile.
absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now);

// Who else has the file locked: "process 4711 (sqlite3)"; "another process" if
// /proc does not tell.
std::string DescribeHolder(const std::string& path);

}  // namespace apm::store
