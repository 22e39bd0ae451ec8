// A step is never edited once it was released: files that have passed it would
// not notice. Most changes need none: the definition and the overlays are JSON,
// whose keys may come and go (definition_json.h), so that an older version can
// still read the file. A new column costs that.

#include "agent/store/schema.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "base/status/status_macros.h"

namespace apm::store {
namespace {

// "APM1"; file(1) and we tell by it whose database this is.
constexpr int64_t kApplicationId = 0x41504D31;

// kSteps[n] makes version n + 1 of version n.
constexpr std::array<const char*, kSchemaVersion> kSteps = {
    // The id keeps the order in which workers were first saved.
    R"sql(
      CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE workers (
        id           INTEGER PRIMARY KEY,
        name         TEXT NOT NULL UNIQUE,
        source       TEXT NOT NULL,
        definition   TEXT NOT NULL,
        owner        TEXT,
        instance_ids TEXT NOT NULL,
        overlays     TEXT NOT NULL
      );
    )sql",
    R"sql(
      ALTER TABLE workers ADD COLUMN changed_unix_ms INTEGER NOT NULL DEFAULT 0;
    )sql",
};

}  // namespace

absl::StatusOr<int> FindSchemaVersion(Database& database) {
  APM_ASSIGN_OR_RETURN(
      const int64_t tables,
      database.QueryInteger("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return 0;
  APM_ASSIGN_OR_RETURN(const int64_t application,
                       database.QueryInteger("PRAGMA application_id"));
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(
        "it is a database of another program; move it away, or give the agent "
        "another state_dir");
  }
  APM_ASSIGN_OR_RETURN(const int64_t version,
                       database.QueryInteger("PRAGMA user_version"));
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "it has schema version %d and this apm knows versions up to %d; run "
        "the newer apm, or move the file away to start without it",
        version, kSchemaVersion));
  }
  return static_cast<int>(version);
}

absl::Status Migrate(Database& database, int version) {
  for (int step = version; step < kSchemaVersion; ++step) {
    APM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
    APM_RETURN_IF_ERROR(database.Execute(kSteps[static_cast<size_t>(step)]));
    APM_RETURN_IF_ERROR(database.Execute(
        absl::StrCat("PRAGMA application_id = ", kApplicationId,
                     "; PRAGMA user_version = ", step + 1)));
    APM_RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

}  // namespace apm::store
