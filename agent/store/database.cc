#include "agent/store/database.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "base/fault/fault.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::store {
namespace {

absl::StatusCode CodeFor(int result, int system_error) {
  if (system_error == ENOSPC || system_error == EDQUOT) {
    return absl::StatusCode::kResourceExhausted;
  }
  switch (result & 0xff) {  // Without the extension.
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kAborted;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// "disk I/O error: No space left on device". REQUIRES: errno was 0 before the
// call that failed; of most of them SQLite itself remembers no errno.
absl::Status LastError(sqlite3* connection) {
  const int after_call = errno;
  const int result = sqlite3_extended_errcode(connection);
  const int primary = result & 0xff;
  const bool disk = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  int system_error = disk ? sqlite3_system_errno(connection) : 0;
  if (disk && system_error == 0) system_error = after_call;
  std::string text = sqlite3_errmsg(connection);
  if (system_error != 0) absl::StrAppend(&text, ": ", ErrnoText(system_error));
  return absl::Status(CodeFor(result, system_error), text);
}

// Whether the write-ahead log has anything that the file itself lacks.
bool HasLog(const std::string& path) {
  struct stat status {};
  return stat((path + "-wal").c_str(), &status) == 0 && status.st_size > 0;
}

// A URI (RFC 3986), for the one option that has no flag.
std::string ImmutableUri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '?' || c == '#' || c == '%') {
      absl::StrAppend(&uri, "%", absl::Hex(c, absl::kZeroPad2));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

// SQLITE_OPEN_NOFOLLOW looks at every part of a path. Ours must not be a
// symlink; a folder on the way there may be.
absl::StatusOr<std::string> WithRealFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, slash == 0 ? 1 : slash);
  char real[PATH_MAX];
  if (realpath(folder.c_str(), real) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("find the folder '", folder, "'"));
  }
  return absl::StrCat(real, slash == 0 ? "" : "/", path.substr(slash + 1));
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::Bind(int position, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), position, text.data(), text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::Bind(int position, int64_t number) {
  sqlite3_bind_int64(statement_.get(), position, number);
  return *this;
}

Statement& Statement::BindNull(int position) {
  sqlite3_bind_null(statement_.get(), position);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  errno = 0;
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return LastError(sqlite3_db_handle(statement_.get()));
  }
}

absl::Status Statement::Run() {
  const absl::Status status = Step().status();
  sqlite3_reset(statement_.get());
  return status;
}

std::string_view Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(
      sqlite3_column_text(statement_.get(), column));
  const int bytes = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr ? std::string_view()
                         : std::string_view(text, static_cast<size_t>(bytes));
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Database::Closer::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

absl::StatusOr<Database> Database::Open(const std::string& path,
                                        Access access) {
  APM_ASSIGN_OR_RETURN(std::string real_path, WithRealFolder(path));
  int flags =
      SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= access == Access::kReadOnly ? SQLITE_OPEN_READONLY
                                       : SQLITE_OPEN_READWRITE;
  // SQLite makes files beside its own even to read, unless it may take the file
  // for one that never changes. Where there is a log to read, whoever was
  // killed while writing it has left them.
  if (access == Access::kReadOnly && !HasLog(real_path)) {
    real_path = ImmutableUri(real_path);
    flags |= SQLITE_OPEN_URI;
  }
  sqlite3* connection = nullptr;
  errno = 0;
  const int result =
      sqlite3_open_v2(real_path.c_str(), &connection, flags, nullptr);
  Database database(connection);  // Owned even if it failed.
  if (connection == nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  if (result != SQLITE_OK) return LastError(connection);

  sqlite3_busy_timeout(
      connection, static_cast<int>(absl::ToInt64Milliseconds(kBusyTimeout)));
  // A file with a crafted schema runs nothing.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

absl::Status Database::UseWriteAheadLog() {
  // The limit: what the log shrinks to after it was moved into the file.
  return Execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
      "PRAGMA journal_size_limit=1048576");
}

bool Database::HasMoved() {
  int moved = 0;
  return sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_HAS_MOVED,
                              &moved) == SQLITE_OK &&
         moved != 0;
}

absl::Status Database::Execute(const std::string& sql) {
  errno = 0;
  const int result =
      sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : LastError(connection_.get());
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  errno = 0;
  const int result =
      sqlite3_prepare_v2(connection_.get(), sql.data(),
                         static_cast<int>(sql.size()), &statement, nullptr);
  if (result != SQLITE_OK) return LastError(connection_.get());
  return Statement(statement);
}

absl::StatusOr<int64_t> Database::QueryInteger(std::string_view sql) {
  APM_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  APM_RETURN_IF_ERROR(statement.Step().status());
  return statement.Integer(0);
}

absl::Status Database::Check() {
  APM_ASSIGN_OR_RETURN(Statement statement, Prepare("PRAGMA quick_check(1)"));
  APM_RETURN_IF_ERROR(statement.Step().status());
  const std::string_view answer = statement.Text(0);
  if (answer == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("database is damaged: ", std::string(answer)));
}

absl::StatusOr<Transaction> Transaction::Begin(Database& database) {
  APM_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // Fails where SQLite has done it itself, as on a full disk: all the same.
  if (database_ != nullptr) database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  fault::Point("agent.store.commit");
  APM_RETURN_IF_ERROR(database_->Execute("COMMIT"));
  fault::Point("agent.store.committed");
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace apm::store
