// The desired state in memory, and what of it is not on disk yet: all that
// Store does, without its thread.
//
//   journal.Load();                      // First, once.
//   journal.Save({web}, {}, done);       // In memory.
//   journal.Commit();                    // On disk; runs `done`.
//
// A commit that fails leaves its workers dirty; the next one, of a Save or of
// the retry timer, takes them along as they are then. A file that turns out to
// be damaged is moved aside and written anew, whole, as is one that was
// removed: memory has everything.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/store/database.h"
#include "agent/store/desired_worker.h"
#include "agent/store/tables.h"
#include "base/os/clock.h"
#include "base/os/timers.h"

namespace apm::store {

// Between attempts to write what could not be written: doubled each time.
inline constexpr absl::Duration kFirstRetry = absl::Seconds(1);
inline constexpr absl::Duration kLongestRetry = absl::Seconds(30);

// Thread: one, which waits for the disk.
class StateJournal {
 public:
  using Done = std::function<void(absl::Status)>;
  using DurabilityChanged = std::function<void(bool durable, std::string)>;

  // As StoreOptions. `timers` and `clock` outlive this.
  StateJournal(std::string path, DurabilityChanged on_durability_changed,
               Timers& timers, const Clock& clock);
  StateJournal(const StateJournal&) = delete;
  StateJournal& operator=(const StateJournal&) = delete;
  ~StateJournal();

  // As Store::Load.
  absl::StatusOr<DesiredState> Load();

  // As Store::Save, but for the disk: that is Commit's.
  void Save(std::vector<DesiredWorker> changed, std::vector<std::string> erased,
            Done done);

  // Writes all that is dirty in one transaction, then runs what waits for it.
  void Commit();

 private:
  absl::Status OpenForWriting();
  absl::StatusOr<Tables> OpenAndRead(std::vector<std::string>& warnings);
  absl::StatusOr<Tables> ReadWithoutWriting();
  DesiredState Describe(std::vector<std::string> warnings) const;

  absl::Status WriteDirty();
  absl::Status WriteAnew(const absl::Status& damage);
  void MarkAllDirty();
  absl::StatusOr<std::string> ReplaceDamaged(const absl::Status& damage);
  absl::Status Explain(const absl::Status& status) const;
  void SetDurable(const absl::Status& status);

  const std::string path_;
  const DurabilityChanged on_durability_changed_;
  Timers& timers_;
  const Clock& clock_;

  // Why there is nothing to save into; OK once Load was.
  absl::Status loaded_ =
      absl::FailedPreconditionError("the state was not loaded");
  std::optional<Database> database_;  // None: to be opened by the next commit.

  // What the file holds once all that is dirty is written.
  Tables state_;
  bool created_ = false;
  std::set<std::string> dirty_;  // Names of workers, erased ones too.
  bool meta_is_dirty_ = false;

  std::vector<Done> waiting_;  // For the next commit.
  bool durable_ = true;
  TimerId retry_timer_ = kNoTimer;
  absl::Duration retry_after_ = kFirstRetry;
};

}  // namespace apm::store
