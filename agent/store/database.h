// SQLite as this folder uses it: one connection, prepared statements, errors
// as absl::Status. Knows no table; schema.h and worker_table.h do.
//
// Codes, by which callers decide: kDataLoss, the file is damaged or no
// database; kAborted, another process holds it longer than kBusyTimeout;
// kResourceExhausted, the disk is full; kUnavailable, it cannot be written or
// read for another reason; kInternal, the statement is wrong for this file.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

struct sqlite3;
struct sqlite3_stmt;

namespace apm::store {

// How long a call waits for another process that holds the file.
inline constexpr absl::Duration kBusyTimeout = absl::Seconds(2);

// Bind by position from 1, read columns from 0, as SQLite counts.
class Statement {
 public:
  Statement& Bind(int position, std::string_view text);
  Statement& Bind(int position, int64_t number);
  Statement& BindNull(int position);

  // True: there is a row to read; false: the statement is through.
  absl::StatusOr<bool> Step();

  // Runs a statement that has no rows, and makes it ready for other values.
  absl::Status Run();

  // Empty for NULL. Valid until the next Step().
  std::string_view Text(int column) const;
  int64_t Integer(int column) const;  // 0 for NULL and for what is no number.
  bool IsNull(int column) const;

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// Thread: one. Closing the last connection moves the write-ahead log into the
// file and removes it.
class Database {
 public:
  enum class Access : uint8_t {
    kWrite,     // Others may read meanwhile.
    kReadOnly,  // Also from a disk that is full or mounted read-only.
  };

  // `path` is absolute and exists; its folder may be a symlink, itself not.
  static absl::StatusOr<Database> Open(const std::string& path, Access access);

  // The log of kWrite: REQUIRES that access, and a file that is ours, since it
  // changes the file.
  absl::Status UseWriteAheadLog();

  // Whether the file was removed or renamed: what is written is lost.
  bool HasMoved();

  // Runs statements that have no rows.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);  // First column.

  // Looks at every page: kDataLoss with what is wrong.
  absl::Status Check();

 private:
  struct Closer {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}

  std::unique_ptr<sqlite3, Closer> connection_;
};

// BEGIN IMMEDIATE until Commit(); undone if that was not reached.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  absl::Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // Null: nothing to undo.
};

}  // namespace apm::store
