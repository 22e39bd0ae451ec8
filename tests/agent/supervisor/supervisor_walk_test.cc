// Random commands and random fates, in any order; what must always be true is
// checked after each step.

#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "tests/agent/supervisor/fake_world.h"

namespace apm::supervisor {
namespace {

using ::apm::testing::IsOk;

constexpr int kWalks = 300;
constexpr int kSteps = 300;
const std::vector<std::string> kNames = {"api", "job", "web"};

class SupervisorWalkTest : public SupervisorTest,
                           public ::testing::WithParamInterface<int> {
 protected:
  // The keeper's view, kept from calls and fates alone.
  struct Process {
    InstanceKey key;
    bool spawned = false;
  };

  int Pick(int below) {
    return std::uniform_int_distribution<int>(0, below - 1)(random_);
  }
  bool Chance(int percent) { return Pick(100) < percent; }

  void NoteLaunches() {
    for (; seen_ < processes_.launched.size(); ++seen_) {
      living_.push_back({processes_.launched[seen_]});
    }
  }

  Done NewCommand() {
    outcomes_.emplace_back();
    return outcomes_.back().Callback();
  }

  void GiveACommand() {
    const std::string name = kNames[static_cast<size_t>(Pick(3))];
    Target target{name, std::nullopt};
    if (Chance(40)) target.instance = static_cast<uint32_t>(Pick(2));
    switch (Pick(9)) {
      case 0:
      case 1:
        return supervisor_.Start(target, NewCommand());
      case 2:
        return supervisor_.Stop(target, NewCommand());
      case 3:
        return supervisor_.Restart(target, NewCommand());
      case 4:
      case 5:
        reloaded_ = true;
        return supervisor_.Reload(target, NewCommand());
      case 6:
        if (Chance(30)) supervisor_.Delete(name, NewCommand());
        return;
      default:
        AddWorker(name);
    }
  }

  void AddWorker(const std::string& name) {
    WorkerSpec spec = Plain(name, 2);
    spec.pipe_mode = name != "job";
    spec.restart = static_cast<RestartPolicy>(Pick(3));
    supervisor_.Add(spec).IgnoreError();
  }

  // Something happens to a process, be it sensible or not.
  void MeetAFate() {
    if (living_.empty()) return;
    const auto at = living_.begin() + Pick(static_cast<int>(living_.size()));
    const InstanceKey key = at->key;
    if (!at->spawned) {
      if (Chance(80)) {
        at->spawned = true;
        return Spawn(key);
      }
      living_.erase(at);
      return SpawnFails(key);
    }
    switch (Pick(5)) {
      case 0:
        return supervisor_.OnHello(key, "walk/1.0");
      case 1:
        return supervisor_.OnDrained(key);
      case 2:
        return supervisor_.OnLinkLost(key);
      default:
        if (Chance(50)) return;
        living_.erase(at);
        ended_.push_back(key);
        Chance(50) ? KilledBy(key, SIGKILL) : Exit(key, Pick(2));
    }
  }

  void RepeatALateEvent() {
    if (ended_.empty()) return;
    const InstanceKey key =
        ended_[static_cast<size_t>(Pick(static_cast<int>(ended_.size())))];
    switch (Pick(4)) {
      case 0:
        return Exit(key, 1);
      case 1:
        return supervisor_.OnDrained(key);
      case 2:
        return supervisor_.OnLinkLost(key);
      default:
        return supervisor_.OnHello(key, "late/1.0");
    }
  }

  void CheckInvariants() {
    NoteLaunches();
    std::map<std::pair<std::string, uint32_t>, int> per_slot;
    for (const Process& process : living_) {
      ++per_slot[{process.key.worker, process.key.instance}];
    }
    for (const auto& [slot, count] : per_slot) {
      EXPECT_LE(count, reloaded_ ? 2 : 1) << slot.first << "/" << slot.second;
    }
    for (const Outcome& outcome : outcomes_) EXPECT_LE(outcome.calls(), 1);
  }

  // Ends everything as a well-behaved world would.
  void WindDown() {
    supervisor_.StopAll(NewCommand());
    for (int round = 0; round < 50 && !living_.empty(); ++round) {
      for (Process& process : living_) {
        if (!std::exchange(process.spawned, true)) Spawn(process.key);
      }
      timers_.AdvanceBy(absl::Seconds(10));  // Drains pass their deadline.
      for (const Process& process : std::exchange(living_, {})) {
        EXPECT_FALSE(SignalsTo(process.key).empty());
        KilledBy(process.key, SIGTERM);
      }
      NoteLaunches();
    }
  }

  std::mt19937 random_{static_cast<uint32_t>(GetParam())};
  size_t seen_ = 0;
  bool reloaded_ = false;
  std::vector<Process> living_;
  std::vector<InstanceKey> ended_;
  std::deque<Outcome> outcomes_;  // Its elements stay where they are.
};

TEST_P(SupervisorWalkTest, KeepsItsPromises) {
  for (const std::string& name : kNames) AddWorker(name);
  for (int step = 0; step < kSteps && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    switch (Pick(10)) {
      case 0:
      case 1:
        GiveACommand();
        break;
      case 2:
        timers_.AdvanceBy(absl::Milliseconds(Pick(3000)));
        break;
      case 3:
        RepeatALateEvent();
        break;
      default:
        MeetAFate();
    }
    CheckInvariants();
  }
  WindDown();
  EXPECT_TRUE(living_.empty());
  for (const Outcome& outcome : outcomes_) EXPECT_EQ(outcome.calls(), 1);
  for (const WorkerSnapshot& worker : supervisor_.Snapshot()) {
    EXPECT_EQ(worker.state, WorkerState::kStopped) << worker.name;
  }
  EXPECT_EQ(timers_.pending(), 0U);
  const auto count = [this](const char* what) {
    return std::count_if(
        traffic_.calls.begin(), traffic_.calls.end(),
        [&](const std::string& call) { return call.starts_with(what); });
  };
  EXPECT_EQ(count("attach"), count("detach"));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SupervisorWalkTest,
                         ::testing::Range(0, kWalks));

}  // namespace
}  // namespace apm::supervisor
