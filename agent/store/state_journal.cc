#include "agent/store/state_journal.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/store/schema.h"
#include "agent/store/state_file.h"
#include "base/status/status_macros.h"

namespace apm::store {
namespace {

std::string MakeDaemonId() {
  uint64_t number = 0;
  // Cannot fail for so few bytes (getrandom(2)).
  const ssize_t bytes = getrandom(&number, sizeof number, 0);
  static_cast<void>(bytes);
  return absl::StrFormat("%016x", number);
}

bool IsDamage(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss;
}

// Of the disk, which may be well again later.
bool IsTrouble(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kUnavailable;
}

std::string_view Advice(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return "make space on its disk";
    case absl::StatusCode::kAborted:
      return "end what holds it";
    default:
      return "check its disk and the permissions of its folder";
  }
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

}  // namespace

StateJournal::StateJournal(std::string path,
                           DurabilityChanged on_durability_changed,
                           Timers& timers, const Clock& clock)
    : path_(std::move(path)),
      on_durability_changed_(std::move(on_durability_changed)),
      timers_(timers),
      clock_(clock) {}

StateJournal::~StateJournal() { timers_.Cancel(retry_timer_); }

absl::StatusOr<DesiredState> StateJournal::Load() {
  std::vector<std::string> warnings;
  absl::StatusOr<Tables> tables = OpenAndRead(warnings);
  if (!tables.ok()) {
    loaded_ = Explain(tables.status());
    return loaded_;
  }
  loaded_ = absl::OkStatus();
  state_ = *std::move(tables);
  for (const std::string& unreadable : state_.unreadable) {
    warnings.push_back(absl::StrFormat(
        "%s: it is left out, and kept in '%s'; create the worker again, or "
        "repair its row with sqlite3",
        unreadable, path_));
  }
  created_ = state_.daemon_id.empty();
  if (created_) {
    state_.daemon_id = MakeDaemonId();
    meta_is_dirty_ = true;
  }
  Commit();  // Begins to retry if nothing can be written.
  return Describe(std::move(warnings));
}

absl::Status StateJournal::OpenForWriting() {
  APM_RETURN_IF_ERROR(PrepareStateFile(path_));
  APM_ASSIGN_OR_RETURN(Database database,
                       Database::Open(path_, Database::Access::kWrite));
  APM_ASSIGN_OR_RETURN(const int version, FindSchemaVersion(database));
  APM_RETURN_IF_ERROR(database.Check());
  APM_RETURN_IF_ERROR(database.UseWriteAheadLog());
  APM_RETURN_IF_ERROR(Migrate(database, version));
  database_ = std::move(database);
  return absl::OkStatus();
}

absl::StatusOr<Tables> StateJournal::OpenAndRead(
    std::vector<std::string>& warnings) {
  const auto attempt = [this]() -> absl::StatusOr<Tables> {
    APM_RETURN_IF_ERROR(OpenForWriting());
    return ReadTables(*database_, kSchemaVersion);
  };
  absl::StatusOr<Tables> tables = attempt();
  if (IsDamage(tables.status())) {
    APM_ASSIGN_OR_RETURN(std::string warning, ReplaceDamaged(tables.status()));
    warnings.push_back(std::move(warning));
    tables = attempt();
  }
  if (IsTrouble(tables.status())) {
    database_.reset();
    warnings.push_back(Message(Explain(tables.status())));
    return ReadWithoutWriting();
  }
  return tables;
}

// So that the workers are back where the disk is full or read-only, too.
absl::StatusOr<Tables> StateJournal::ReadWithoutWriting() {
  if (IsStateFileEmpty(path_)) return Tables();
  APM_ASSIGN_OR_RETURN(Database database,
                       Database::Open(path_, Database::Access::kReadOnly));
  APM_ASSIGN_OR_RETURN(const int version, FindSchemaVersion(database));
  return ReadTables(database, version);
}

DesiredState StateJournal::Describe(std::vector<std::string> warnings) const {
  std::vector<const StoredWorker*> in_order;
  for (const auto& [name, stored] : state_.workers) in_order.push_back(&stored);
  std::sort(in_order.begin(), in_order.end(),
            [](const StoredWorker* a, const StoredWorker* b) {
              return a->id < b->id;
            });
  DesiredState state;
  for (const StoredWorker* stored : in_order) {
    state.workers.push_back(stored->worker);
  }
  state.daemon_id = state_.daemon_id;
  state.next_instance_id = state_.next_instance_id;
  state.created = created_;
  state.warnings = std::move(warnings);
  return state;
}

void StateJournal::Save(std::vector<DesiredWorker> changed,
                        std::vector<std::string> erased, Done done) {
  waiting_.push_back(std::move(done));
  if (!loaded_.ok()) return;
  const absl::Time now = absl::FromUnixMillis(absl::ToUnixMillis(clock_.Now()));
  for (const std::string& name : erased) {
    state_.workers.erase(name);
    dirty_.insert(name);
  }
  for (DesiredWorker& worker : changed) {
    worker.changed = now;
    for (const uint32_t id : worker.instance_ids) {
      if (id < state_.next_instance_id) continue;
      state_.next_instance_id = id + 1;
      meta_is_dirty_ = true;
    }
    dirty_.insert(worker.name);
    StoredWorker& stored = state_.workers[worker.name];
    if (stored.id == 0) stored.id = ++state_.last_id;
    stored.worker = std::move(worker);
  }
}

void StateJournal::Commit() {
  absl::Status status = loaded_;
  if (status.ok()) {
    status = WriteDirty();
    if (IsDamage(status)) status = WriteAnew(status);
    if (!status.ok()) {
      status = absl::DataLossError(absl::StrCat(
          "not durable: ", Message(Explain(status)),
          "; the change is in effect, and is lost if the agent ends before it "
          "could be written"));
    }
    SetDurable(status);
  }
  const std::vector<Done> waiting = std::exchange(waiting_, {});
  for (const Done& done : waiting) done(status);
}

absl::Status StateJournal::WriteDirty() {
  if (database_ && database_->HasMoved()) {
    database_.reset();
    MarkAllDirty();
  }
  if (!database_) APM_RETURN_IF_ERROR(OpenForWriting());
  if (dirty_.empty() && !meta_is_dirty_) return absl::OkStatus();
  const auto write = [this]() -> absl::Status {
    APM_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(*database_));
    for (const std::string& name : dirty_) {
      const auto stored = state_.workers.find(name);
      APM_RETURN_IF_ERROR(stored == state_.workers.end()
                              ? EraseWorker(*database_, name)
                              : WriteWorker(*database_, stored->second));
    }
    if (meta_is_dirty_) {
      APM_RETURN_IF_ERROR(
          WriteMeta(*database_, state_.daemon_id, state_.next_instance_id));
    }
    return transaction.Commit();
  };
  const absl::Status status = write();
  if (status.ok()) {
    dirty_.clear();
    meta_is_dirty_ = false;
  }
  return status;
}

absl::Status StateJournal::WriteAnew(const absl::Status& damage) {
  APM_ASSIGN_OR_RETURN(const std::string moved, ReplaceDamaged(damage));
  SetDurable(absl::DataLossError(moved));
  MarkAllDirty();
  return WriteDirty();
}

void StateJournal::MarkAllDirty() {
  for (const auto& [name, stored] : state_.workers) dirty_.insert(name);
  meta_is_dirty_ = true;
}

absl::StatusOr<std::string> StateJournal::ReplaceDamaged(
    const absl::Status& damage) {
  database_.reset();
  APM_ASSIGN_OR_RETURN(const std::string aside, MoveAside(path_, clock_.Now()));
  return absl::StrFormat(
      "the state '%s' was damaged (%s); it was moved to '%s', and a new one "
      "was made",
      path_, Message(damage), aside);
}

absl::Status StateJournal::Explain(const absl::Status& status) const {
  const bool held = status.code() == absl::StatusCode::kAborted;
  std::string text = absl::StrFormat(
      "state '%s': %s", path_,
      held ? DescribeHolder(path_) + " has locked it" : Message(status));
  // Other errors say themselves what to do.
  if (held || IsTrouble(status)) {
    absl::StrAppend(&text, "; ", std::string(Advice(status)));
  }
  return absl::Status(held ? absl::StatusCode::kUnavailable : status.code(),
                      text);
}

void StateJournal::SetDurable(const absl::Status& status) {
  timers_.Cancel(std::exchange(retry_timer_, kNoTimer));
  if (status.ok()) {
    retry_after_ = kFirstRetry;
  } else {
    retry_timer_ = timers_.RunAfter(retry_after_, [this] {
      retry_timer_ = kNoTimer;
      Commit();
    });
    retry_after_ = std::min(2 * retry_after_, kLongestRetry);
  }
  if (std::exchange(durable_, status.ok()) == status.ok()) return;
  if (on_durability_changed_) {
    on_durability_changed_(status.ok(), Message(status));
  }
}

}  // namespace apm::store
