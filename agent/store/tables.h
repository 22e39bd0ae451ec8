// The rows of state.db: all of them read, one written, one erased.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/store/database.h"
#include "agent/store/desired_worker.h"

namespace apm::store {

// A worker and its place among the others.
struct StoredWorker {
  int64_t id = 0;
  DesiredWorker worker;
};

struct Tables {
  std::map<std::string, StoredWorker> workers;  // By name.
  int64_t last_id = 0;    // Of all rows, the unreadable ones included.
  std::string daemon_id;  // Empty: none yet.
  uint32_t next_instance_id = 1;
  std::vector<std::string> unreadable;  // "worker 'web': overlays: ..."
};

// Reads the tables of any `version` from 1. A row that cannot be read is named
// in `unreadable`, and left where it is.
absl::StatusOr<Tables> ReadTables(Database& database, int version);

// The part of Tables that is not of one worker.
absl::Status WriteMeta(Database& database, std::string_view daemon_id,
                       uint32_t next_instance_id);

// Replaces a row of that id or name, whatever it says.
absl::Status WriteWorker(Database& database, const StoredWorker& stored);

// Harmless if there is none.
absl::Status EraseWorker(Database& database, std::string_view name);

}  // namespace apm::store
