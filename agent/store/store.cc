#include "agent/store/store.h"

#include <pthread.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/store/state_journal.h"
#include "base/os/clock.h"
#include "base/status/status_macros.h"

namespace apm::store {

absl::StatusOr<std::unique_ptr<Store>> Store::Create(StoreOptions options,
                                                     EventLoop& loop) {
  APM_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> store_loop,
                       EventLoop::Create());
  return std::unique_ptr<Store>(
      new Store(std::move(options), std::move(store_loop), loop));
}

Store::Store(StoreOptions options, std::unique_ptr<EventLoop> store_loop,
             EventLoop& loop)
    : loop_(loop),
      store_loop_(std::move(store_loop)),
      journal_(std::make_unique<StateJournal>(
          std::move(options.path),
          [this, changed = std::move(options.on_durability_changed)](
              bool durable, std::string reason) {
            if (!changed) return;
            PostBack([=] { changed(durable, reason); });
          },
          *store_loop_, clock_)),
      thread_([this] {
        pthread_setname_np(pthread_self(), "apm-store");
        store_loop_->Run();
      }) {}

Store::~Store() {
  store_loop_->Post([this] {
    journal_->Commit();  // Once more, what could not be written before.
    store_loop_->Stop();
  });
  thread_.join();
}

void Store::PostBack(std::function<void()> callback) {
  loop_.Post([alive = std::weak_ptr(alive_), callback = std::move(callback)] {
    if (!alive.expired()) callback();
  });
}

void Store::Load(Loaded loaded) {
  store_loop_->Post([this, loaded = std::move(loaded)] {
    PostBack([loaded, state = journal_->Load()]() mutable {
      loaded(std::move(state));
    });
  });
}

void Store::Save(std::vector<DesiredWorker> changed,
                 std::vector<std::string> erased, Done done) {
  store_loop_->Post([this, changed = std::move(changed),
                     erased = std::move(erased),
                     done = std::move(done)]() mutable {
    journal_->Save(std::move(changed), std::move(erased),
                   [this, done = std::move(done)](absl::Status status) {
                     if (done) PostBack([=] { done(status); });
                   });
    // What else has been posted by now shares the commit.
    if (std::exchange(commit_is_due_, true)) return;
    store_loop_->AtEndOfTurn([this] {
      commit_is_due_ = false;
      journal_->Commit();
    });
  });
}

}  // namespace apm::store
