// Keeps the desired state of the node in a SQLite file, durable before an
// answer, on a thread of its own.
//
//   auto store = Store::Create({.path = "/var/lib/apm/state.db"},
//   loop).value(); store->Load([&](absl::StatusOr<DesiredState> state) {
//   Begin(state); }); store->Save({web}, {}, [&](absl::Status durable) {
//   Answer(durable); });
//
// A disk that is full or broken never stops supervision: a change that cannot
// be written is kept in memory and tried again (state_journal.h), and its
// `Done` says so. The tables are in README.md.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/store/desired_worker.h"
#include "base/os/clock.h"
#include "base/os/event_loop.h"

namespace apm::store {

class StateJournal;

struct StoreOptions {
  std::string path;  // Of state.db, absolute; its folder exists.

  // Called when writing begins to fail (`reason` says how and what to do), and
  // when everything is on disk again (`reason` is empty).
  std::function<void(bool durable, std::string reason)> on_durability_changed =
      nullptr;
};

// Thread: the caller's loop, for calls and for callbacks. The destructor
// writes what was saved, waits for it, and drops callbacks that have not run.
class Store {
 public:
  using Loaded = std::function<void(absl::StatusOr<DesiredState>)>;
  using Done = std::function<void(absl::Status)>;

  // The error of the event loop. Touches no file yet.
  static absl::StatusOr<std::unique_ptr<Store>> Create(StoreOptions options,
                                                       EventLoop& loop);

  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();

  // Opens the file, makes or migrates it, and reads everything. Call it once,
  // before Save. A corrupt file is moved aside and a new one made; a row that
  // cannot be read is left where it is: both are `warnings`, not errors. The
  // rest leaves the file as it was, and the store of no use:
  // kFailedPrecondition: written by a newer version; not a file of ours.
  // kUnavailable: another process holds it, or the disk cannot be read.
  void Load(Loaded loaded);

  // Stores `changed`, whole and by name, and forgets `erased`, all or nothing.
  // Saves that arrive together share one commit, in their order. `done` gets OK
  // once all is on disk, kDataLoss if it is not: then the change is pending,
  // the latest of each worker, and is tried again until it is written. The
  // error of Load if that failed. `done` may be empty.
  void Save(std::vector<DesiredWorker> changed, std::vector<std::string> erased,
            Done done);

 private:
  Store(StoreOptions options, std::unique_ptr<EventLoop> store_loop,
        EventLoop& loop);

  // Runs `callback` on the caller's loop, unless this is gone by then.
  void PostBack(std::function<void()> callback);

  EventLoop& loop_;
  // What is posted to loop_ has a weak pointer to it, and so sees its end.
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);

  // All of the thread: its loop, and what runs on it.
  const std::unique_ptr<EventLoop> store_loop_;
  const SystemClock clock_;
  const std::unique_ptr<StateJournal> journal_;
  bool commit_is_due_ = false;
  std::thread thread_;
};

}  // namespace apm::store
