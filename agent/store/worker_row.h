// One worker as the columns of its row, and back. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "agent/store/desired_worker.h"

namespace apm::store {

// As in schema.cc.
struct WorkerRow {
  std::string name;
  std::string source;                // "config", "api"
  std::string definition;            // definition_json.h
  std::optional<std::string> owner;  // {"gid":100,"uid":1000,"user":"bob"}
  std::string instance_ids;          // [1,2]
  std::string overlays;  // {"instances":4,"stopped":true}: what is set
  int64_t changed_unix_ms = 0;
};

WorkerRow EncodeRow(const DesiredWorker& worker);

// kDataLoss naming the column that cannot be read.
absl::StatusOr<DesiredWorker> DecodeRow(const WorkerRow& row);

}  // namespace apm::store
