// The tables of state.db and their versions (PRAGMA user_version).

#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/store/database.h"

namespace apm::store {

// What this program writes.
inline constexpr int kSchemaVersion = 2;

// The version of a file: 0 if it is empty. kFailedPrecondition, with what to
// do, for a database of another program or of a newer version of this one.
absl::StatusOr<int> FindSchemaVersion(Database& database);

// Brings the file from `version` to kSchemaVersion, one transaction a step: a
// failure leaves it at the version it had reached.
absl::Status Migrate(Database& database, int version);

}  // namespace apm::store
