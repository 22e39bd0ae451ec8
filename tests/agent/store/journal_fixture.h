// A StateJournal on a real file, with time as the test turns it.

#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gtest/gtest.h>

#include "agent/store/desired_worker.h"
#include "agent/store/state_journal.h"
#include "tests/agent/store/desired_workers.h"
#include "tests/agent/store/state_folder.h"
#include "tests/testing/fake_timers.h"

namespace apm::store {

class JournalFixture : public ::testing::Test {
 protected:
  // A new journal on the file: what a restarted agent gets to see.
  absl::StatusOr<DesiredState> Open() {
    journal_.reset();
    edges_.clear();
    journal_ = std::make_unique<StateJournal>(
        folder_.file(),
        [this](bool durable, std::string reason) {
          edges_.emplace_back(durable, std::move(reason));
        },
        timers_, clock_);
    return journal_->Load();
  }

  DesiredState Restart() {
    absl::StatusOr<DesiredState> state = Open();
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? *std::move(state) : DesiredState();
  }

  absl::Status Save(std::vector<DesiredWorker> changed,
                    std::vector<std::string> erased = {}) {
    absl::Status result = absl::InternalError("done was not called");
    journal_->Save(std::move(changed), std::move(erased),
                   [&](absl::Status status) { result = std::move(status); });
    journal_->Commit();
    return result;
  }

  // As an agent that is killed after its last answer: the log stays as it is.
  void SaveAndBeKilled(const DesiredWorker& worker) {
    const pid_t agent = fork();
    ASSERT_GE(agent, 0);
    if (agent == 0) {
      Restart();
      _exit(Save({worker}).ok() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(agent, &status, 0), agent);
    ASSERT_EQ(status, 0);
    ASSERT_EQ(folder_.Names("state.db-wal").size(), 1u);
  }

  static std::vector<std::string> Names(const DesiredState& state) {
    std::vector<std::string> names;
    for (const DesiredWorker& worker : state.workers) {
      names.push_back(worker.name);
    }
    return names;
  }

  StateFolder folder_;
  apm::testing::FakeTimers timers_;
  apm::testing::FakeClock clock_{timers_};
  std::vector<std::pair<bool, std::string>> edges_;  // Of durability.
  std::unique_ptr<StateJournal> journal_;
};

}  // namespace apm::store
