#include "agent/store/tables.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "agent/store/worker_row.h"
#include "base/status/status_macros.h"

namespace apm::store {
namespace {

constexpr std::string_view kDaemonId = "daemon_id";
constexpr std::string_view kNextInstanceId = "next_instance_id";

absl::Status ReadMeta(Database& database, Tables& tables) {
  APM_ASSIGN_OR_RETURN(Statement statement,
                       database.Prepare("SELECT key, value FROM meta"));
  for (;;) {
    APM_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return absl::OkStatus();
    const std::string_view key = statement.Text(0);
    const std::string value(statement.Text(1));
    if (key == kDaemonId) tables.daemon_id = value;
    // What is no number is made up for by the ids that are in use.
    uint32_t number = 0;
    if (key == kNextInstanceId && absl::SimpleAtoi(value, &number)) {
      tables.next_instance_id = std::max(tables.next_instance_id, number);
    }
  }
}

WorkerRow RowOf(const Statement& statement) {
  WorkerRow row;
  row.name = statement.Text(1);
  row.source = statement.Text(2);
  row.definition = statement.Text(3);
  if (!statement.IsNull(4)) row.owner = statement.Text(4);
  row.instance_ids = statement.Text(5);
  row.overlays = statement.Text(6);
  row.changed_unix_ms = statement.Integer(7);
  return row;
}

void AddRow(int64_t id, const WorkerRow& row, Tables& tables) {
  tables.last_id = std::max(tables.last_id, id);
  absl::StatusOr<DesiredWorker> worker = DecodeRow(row);
  if (!worker.ok()) {
    tables.unreadable.push_back(absl::StrFormat(
        "worker '%s': %s", row.name, std::string(worker.status().message())));
    return;
  }
  for (const uint32_t used : worker->instance_ids) {
    if (used < std::numeric_limits<uint32_t>::max()) {
      tables.next_instance_id = std::max(tables.next_instance_id, used + 1);
    }
  }
  tables.workers[row.name] = {id, *std::move(worker)};
}

}  // namespace

absl::StatusOr<Tables> ReadTables(Database& database, int version) {
  Tables tables;
  APM_RETURN_IF_ERROR(ReadMeta(database, tables));
  // A full disk can keep an old version from being migrated, not from being
  // read.
  APM_ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare(absl::StrCat(
          "SELECT id, name, source, definition, owner, instance_ids, overlays,",
          version >= 2 ? "changed_unix_ms" : "0", " FROM workers")));
  for (;;) {
    APM_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return tables;
    AddRow(statement.Integer(0), RowOf(statement), tables);
  }
}

absl::Status WriteMeta(Database& database, std::string_view daemon_id,
                       uint32_t next_instance_id) {
  APM_ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare(
          "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)"));
  APM_RETURN_IF_ERROR(statement.Bind(1, kDaemonId).Bind(2, daemon_id).Run());
  return statement.Bind(1, kNextInstanceId)
      .Bind(2, absl::StrCat(next_instance_id))
      .Run();
}

absl::Status WriteWorker(Database& database, const StoredWorker& stored) {
  APM_ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare(
          "INSERT OR REPLACE INTO workers (id, name, source, definition, owner,"
          " instance_ids, overlays, changed_unix_ms)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  const WorkerRow row = EncodeRow(stored.worker);
  statement.Bind(1, stored.id)
      .Bind(2, row.name)
      .Bind(3, row.source)
      .Bind(4, row.definition)
      .Bind(6, row.instance_ids)
      .Bind(7, row.overlays)
      .Bind(8, row.changed_unix_ms);
  if (row.owner) {
    statement.Bind(5, *row.owner);
  } else {
    statement.BindNull(5);
  }
  return statement.Run();
}

absl::Status EraseWorker(Database& database, std::string_view name) {
  APM_ASSIGN_OR_RETURN(Statement statement,
                       database.Prepare("DELETE FROM workers WHERE name = ?1"));
  return statement.Bind(1, name).Run();
}

}  // namespace apm::store
