// The agent is killed at random, between any two calls that its supervisor
// makes, and a successor goes on from what the keeper has: the table of
// processes and the notes. Whatever happens meanwhile to workers and whatever
// is commanded, in the end everything that was asked for is there, and nothing
// else.

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "agent/supervisor/memo.h"
#include "agent/supervisor/supervisor.h"
#include "tests/testing/fake_timers.h"
#include "tests/testing/status_matchers.h"

namespace apm::supervisor {
namespace {

using ::apm::testing::IsOk;

constexpr int kWalks = 200;
constexpr int kSteps = 400;

// How long the agent still lives, in calls. What a dead one calls reaches
// nobody.
class Life {
 public:
  void EndAfter(int calls) { calls_left_ = calls; }
  void Begin() { calls_left_.reset(); }
  bool is_over() const { return calls_left_ == 0; }
  bool Reaches() {
    if (is_over()) return false;
    if (calls_left_) --*calls_left_;
    return true;
  }

 private:
  std::optional<int> calls_left_;
};

struct KeyOrder {
  bool operator()(const InstanceKey& a, const InstanceKey& b) const {
    return std::tie(a.worker, a.instance, a.generation) <
           std::tie(b.worker, b.instance, b.generation);
  }
};

// Outlives every agent.
struct FakeKeeper final : Processes {
  struct Process {
    bool spawned = false;
    bool exited = false;  // And not acknowledged.
    ProcessExit exit;
    bool attached = false;
    bool draining = false;
    bool told_to_stop = false;
    absl::Time started;
  };

  explicit FakeKeeper(Life& agent) : agent_(agent) {}

  void Remember(const InstanceKey& key, const ProcessMemo& memo) override {
    if (agent_.Reaches()) notes[key] = Encode(memo);
  }
  void Remember(std::string_view worker, uint32_t instance,
                const InstanceMemo& memo) override {
    if (!agent_.Reaches()) return;
    instance_notes[{std::string(worker), instance}] = Encode(memo);
  }
  void Launch(const InstanceKey& key) override {
    if (!agent_.Reaches()) return;
    EXPECT_TRUE(notes.contains(key)) << "launched, but not noted";
    EXPECT_TRUE(processes.try_emplace(key).second);
  }
  void Signal(const InstanceKey& key, int signal) override {
    if (!agent_.Reaches()) return;
    ASSERT_TRUE(processes.contains(key));
    if (signal != SIGCONT) processes[key].told_to_stop = true;
  }
  void Sweep(const InstanceKey& key) override {
    if (agent_.Reaches()) sweeping.push_back(key);
  }

  std::map<InstanceKey, Process, KeyOrder> processes;
  std::map<InstanceKey, std::string, KeyOrder> notes;
  std::map<std::pair<std::string, uint32_t>, std::string> instance_notes;
  std::map<std::pair<std::string, uint32_t>, int> runs;  // Ever.
  std::vector<InstanceKey> sweeping;  // Of the agent: dies with it.

 private:
  Life& agent_;
};

struct FakeProxy final : Traffic {
  FakeProxy(Life& agent, FakeKeeper& keeper) : agent_(agent), keeper_(keeper) {}
  void Attach(const InstanceKey& key) override {
    if (!agent_.Reaches()) return;
    EXPECT_FALSE(std::exchange(keeper_.processes[key].attached, true));
  }
  void Ready(const InstanceKey&) override { agent_.Reaches(); }
  void Drain(const InstanceKey& key, StopReason, absl::Duration) override {
    if (agent_.Reaches()) keeper_.processes[key].draining = true;
  }
  void Detach(const InstanceKey&) override { agent_.Reaches(); }

 private:
  Life& agent_;
  FakeKeeper& keeper_;
};

struct NoteDropper final : Observer {
  NoteDropper(Life& agent, FakeKeeper& keeper)
      : agent_(agent), keeper_(keeper) {}
  void OnStateChanged(const InstanceKey&, InstanceState, InstanceState,
                      std::string_view) override {}
  void OnKilled(const InstanceKey&, pid_t, absl::Duration) override {}
  void OnSurvivors(const InstanceKey&, std::span<const Survivor>) override {}
  void OnInstanceRemoved(std::string_view worker, uint32_t instance) override {
    if (!agent_.Reaches()) return;
    keeper_.instance_notes.erase({std::string(worker), instance});
  }

 private:
  Life& agent_;
  FakeKeeper& keeper_;
};

// What the store has of a worker: written before a command is given.
struct Wanted {
  WorkerSpec spec;
  bool running = false;
  bool deleted = false;
};

class SurvivalTest : public ::testing::Test {
 protected:
  explicit SurvivalTest(uint32_t seed) : random_(seed) { BeginAgent(); }

  int Pick(int below) {
    return std::uniform_int_distribution<int>(0, below - 1)(random_);
  }
  bool Chance(int percent) { return Pick(100) < percent; }

  // ---- The agent's shell around the supervisor ----

  void BeginAgent() {
    life_.Begin();
    keeper_.sweeping.clear();
    ++incarnation_;
    supervisor_ = std::make_unique<Supervisor>(
        Supervisor::Options{.timers = timers_,
                            .clock = clock_,
                            .processes = keeper_,
                            .traffic = proxy_,
                            .observer = observer_,
                            .random = [] { return 0.5; },
                            .first_generation = incarnation_ << 32});
    for (const auto& [name, wanted] : store_) {
      EXPECT_THAT(supervisor_->Add(wanted.spec), IsOk());
    }
    for (const auto& [place, note] : std::map(keeper_.instance_notes)) {
      const std::optional<InstanceMemo> memo = DecodeInstanceMemo(note);
      ASSERT_TRUE(memo.has_value());
      if (!supervisor_->Restore(place.first, place.second, *memo).ok()) {
        keeper_.instance_notes.erase(place);
      }
    }
    AdoptAll();
    for (const auto& [name, wanted] : std::map(store_)) {
      if (wanted.deleted) {
        Delete(name);
      } else if (wanted.running) {
        EXPECT_THAT(supervisor_->Resume({name, std::nullopt}), IsOk());
      } else {
        supervisor_->Stop({name, std::nullopt}, [](absl::Status) {});
      }
    }
    for (const auto& [key, process] : std::map(keeper_.processes)) {
      if (process.spawned) supervisor_->OnSpawned(key, PidOf(key));
      if (process.exited) supervisor_->OnExited(key, process.exit);
    }
  }

  void AdoptAll() {
    std::erase_if(keeper_.notes, [&](const auto& note) {
      return !keeper_.processes.contains(note.first);
    });
    std::vector<InstanceKey> keys;
    for (const auto& [key, process] : keeper_.processes) keys.push_back(key);
    std::shuffle(keys.begin(), keys.end(), random_);
    for (const InstanceKey& key : keys) {
      const FakeKeeper::Process& process = keeper_.processes[key];
      const absl::Status adopted = supervisor_->Adopt(
          {key, process.spawned ? PidOf(key) : 0, process.started,
           DecodeProcessMemo(keeper_.notes[key])});
      // Deleted, but its last exit is not acknowledged yet.
      EXPECT_TRUE(adopted.ok() ||
                  (!store_.contains(key.worker) && process.exited))
          << adopted;
    }
  }

  void KillAgentIfItsLifeIsOver() {
    while (life_.is_over()) {
      ++deaths_;
      supervisor_.reset();
      BeginAgent();
      // Again, sometimes, in the middle of the boot's consequences.
      if (Chance(10)) life_.EndAfter(Pick(4));
    }
  }

  static pid_t PidOf(const InstanceKey& key) {
    return static_cast<pid_t>(1000 + (key.generation & 0xFFFF));
  }

  void AnswerSweep() {
    if (keeper_.sweeping.empty()) return;
    const InstanceKey key = keeper_.sweeping.front();
    keeper_.sweeping.erase(keeper_.sweeping.begin());
    supervisor_->OnSwept(key, {});
    if (!life_.Reaches()) return;
    keeper_.processes.erase(key);  // Acknowledged.
    keeper_.notes.erase(key);
  }

  void Delete(const std::string& name) {
    supervisor_->Delete(name, [this, name](const absl::Status& status) {
      if (status.ok() && life_.Reaches()) store_.erase(name);
    });
  }

  // ---- Fates ----

  void Spawns(const InstanceKey& key) {
    FakeKeeper::Process& process = keeper_.processes[key];
    process.spawned = true;
    ++keeper_.runs[{key.worker, key.instance}];
    process.started = clock_.Now();
    supervisor_->OnSpawned(key, PidOf(key));
  }
  void SpawnFails(const InstanceKey& key) {
    keeper_.processes.erase(key);
    supervisor_->OnSpawnFailed(key, "exec", 2, "");
    if (life_.Reaches()) keeper_.notes.erase(key);
  }
  void Exits(const InstanceKey& key, int code) {
    FakeKeeper::Process& process = keeper_.processes[key];
    process.exited = true;
    process.exit.code = code;
    supervisor_->OnExited(key, ProcessExit(process.exit));
  }

  // What a world without surprises does.
  void MoveOn() {
    const auto processes = keeper_.processes;
    for (const auto& [key, process] : processes) {
      if (process.exited) continue;
      if (!process.spawned) {
        Spawns(key);
      } else if (process.told_to_stop) {
        Exits(key, 0);
      } else if (process.draining) {
        supervisor_->OnDrained(key);
      } else {
        supervisor_->OnHello(key, "walk/1.0");
      }
      KillAgentIfItsLifeIsOver();
    }
    while (!keeper_.sweeping.empty()) {
      AnswerSweep();
      KillAgentIfItsLifeIsOver();
    }
  }

  // ---- What must be true at any time ----

  void CheckInvariants() {
    std::map<std::pair<std::string, uint32_t>, int> living;
    std::map<std::pair<std::string, uint32_t>, int> principals;
    for (const auto& [key, process] : keeper_.processes) {
      if (process.exited) continue;
      const std::pair place(key.worker, key.instance);
      const auto memo = DecodeProcessMemo(keeper_.notes[key]);
      ASSERT_TRUE(memo.has_value());
      EXPECT_LE(++living[place], 2) << key.worker << "/" << key.instance;
      if (memo->role != Role::kPrincipal ||
          memo->phase == ProcessMemo::Phase::kStopping) {
        continue;
      }
      EXPECT_LE(++principals[place], 1) << key.worker << "/" << key.instance;
    }
    EXPECT_LE(keeper_.processes.size(), 200U);
  }

  // Nothing is commanded any more, and no process fails: what is there then?
  void CheckThatAllIsAsWanted() {
    for (int round = 0; round < 40; ++round) {
      MoveOn();
      timers_.AdvanceBy(absl::Seconds(15));  // Past any deadline and retry.
    }
    MoveOn();
    std::set<std::pair<std::string, uint32_t>> ready;
    for (const auto& [key, process] : keeper_.processes) {
      EXPECT_FALSE(process.exited);
      EXPECT_FALSE(process.draining);
      EXPECT_FALSE(process.told_to_stop);
      ASSERT_TRUE(store_.contains(key.worker)) << "a stray process";
      EXPECT_TRUE(store_[key.worker].running) << "a stray process";
      EXPECT_LT(key.instance, store_[key.worker].spec.instances);
      EXPECT_TRUE(ready.emplace(key.worker, key.instance).second)
          << "started twice: " << key.worker << "/" << key.instance;
      EXPECT_TRUE(keeper_.notes.contains(key));
    }
    EXPECT_EQ(keeper_.notes.size(), keeper_.processes.size());
    for (const auto& [name, wanted] : store_) {
      EXPECT_FALSE(wanted.deleted) << name << " is still there";
      const auto worker = supervisor_->Find(name);
      ASSERT_TRUE(worker.has_value());
      EXPECT_EQ(worker->instances.size(), wanted.spec.instances);
      if (!wanted.running) {
        EXPECT_EQ(worker->state, WorkerState::kStopped) << name;
        continue;
      }
      for (const InstanceSnapshot& instance : worker->instances) {
        const bool is_up = ready.contains({name, instance.index});
        EXPECT_EQ(is_up, instance.state == InstanceState::kReady);
        EXPECT_TRUE(is_up || wanted.spec.restart != RestartPolicy::kAlways)
            << name << "/" << instance.index
            << " is lost: " << Name(instance.state);
      }
    }
    for (const auto& [place, note] : keeper_.instance_notes) {
      ASSERT_TRUE(store_.contains(place.first)) << "a stray note";
      EXPECT_LT(place.second, store_[place.first].spec.instances);
    }
    EXPECT_EQ(supervisor_->Snapshot().size(), store_.size());
  }

  std::mt19937 random_;
  apm::testing::FakeTimers timers_;
  apm::testing::FakeClock clock_{timers_};
  Life life_;
  FakeKeeper keeper_{life_};
  FakeProxy proxy_{life_, keeper_};
  NoteDropper observer_{life_, keeper_};
  std::map<std::string, Wanted> store_;
  std::unique_ptr<Supervisor> supervisor_;
  uint64_t incarnation_ = 0;
  int deaths_ = 0;
};

// ---- Anything goes ----

class SurvivalWalkTest : public SurvivalTest,
                         public ::testing::WithParamInterface<int> {
 protected:
  SurvivalWalkTest() : SurvivalTest(static_cast<uint32_t>(GetParam())) {}

  void AddWorker(const std::string& name) {
    if (store_.contains(name)) return;
    Wanted wanted;
    wanted.spec.name = name;
    wanted.spec.instances = static_cast<uint32_t>(1 + Pick(3));
    wanted.spec.pipe_mode = name == "api" || name == "web";
    if (name == "job") wanted.spec.restart = RestartPolicy::kOnFailure;
    if (name == "once") wanted.spec.restart = RestartPolicy::kNever;
    store_[name] = wanted;
    EXPECT_THAT(supervisor_->Add(wanted.spec), IsOk());
  }

  void GiveACommand() {
    static constexpr const char* kNames[] = {"api", "web", "job", "once"};
    const std::string name = kNames[Pick(4)];
    AddWorker(name);
    Wanted& wanted = store_[name];
    if (wanted.deleted) return;
    const Target target{name, std::nullopt};
    const Done ignore = [](const absl::Status&) {};
    switch (Pick(8)) {
      case 0:
      case 1:
        wanted.running = true;
        AllowRuns(wanted);
        return supervisor_->Start(target, ignore);
      case 2:
        wanted.running = false;
        return supervisor_->Stop(target, ignore);
      case 3:
        wanted.running = true;
        AllowRuns(wanted);
        return supervisor_->Restart(target, ignore);
      case 4:
      case 5:
        AllowRuns(wanted);
        return supervisor_->Reload(target, ignore);
      case 6:
        wanted.spec.instances = static_cast<uint32_t>(1 + Pick(4));
        AllowRuns(wanted);
        return supervisor_->Scale(name, wanted.spec.instances, ignore);
      default:
        if (!Chance(30)) return;
        wanted.deleted = true;
        return Delete(name);
    }
  }

  // Whoever is not restarted runs no more often than it was told to.
  void AllowRuns(const Wanted& wanted) {
    for (uint32_t i = 0; i < 8; ++i) ++allowed_[{wanted.spec.name, i}];
  }
  void CheckThatNoJobRanTwice() {
    for (const auto& [place, runs] : keeper_.runs) {
      if (place.first != "once") continue;
      EXPECT_LE(runs, allowed_[place]) << place.second;
    }
  }

  void MeetAFate() {
    if (keeper_.processes.empty()) return;
    auto at = keeper_.processes.begin();
    std::advance(at, Pick(static_cast<int>(keeper_.processes.size())));
    const auto [key, process] = *at;
    if (process.exited) return;
    if (!process.spawned) return Chance(85) ? Spawns(key) : SpawnFails(key);
    switch (Pick(8)) {
      case 0:
      case 1:
      case 2:
        return supervisor_->OnHello(key, "walk/1.0");
      case 3:
        return supervisor_->OnDrained(key);
      case 4:
        if (process.attached) supervisor_->OnLinkLost(key);
        return;
      case 5:
        if (process.attached) supervisor_->OnLinkTorn(key);
        return;
      default:
        if (process.told_to_stop || Chance(30)) Exits(key, Pick(2));
    }
  }

  std::map<std::pair<std::string, uint32_t>, int> allowed_;
};

TEST_P(SurvivalWalkTest, LosesNothingAndLeavesNothing) {
  for (int step = 0; step < kSteps && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    if (Chance(8)) life_.EndAfter(Pick(8));
    switch (Pick(10)) {
      case 0:
      case 1:
        GiveACommand();
        break;
      case 2:
        timers_.AdvanceBy(absl::Milliseconds(Pick(4000)));
        break;
      case 3:
      case 4:
        AnswerSweep();
        break;
      default:
        MeetAFate();
    }
    KillAgentIfItsLifeIsOver();
    CheckInvariants();
    CheckThatNoJobRanTwice();
  }
  if (HasFailure()) return;
  life_.Begin();
  CheckThatAllIsAsWanted();
  EXPECT_GT(deaths_, 5);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SurvivalWalkTest, ::testing::Range(0, kWalks));

// ---- A thousand reloads ----

class ThousandReloadsTest : public SurvivalTest {
 protected:
  ThousandReloadsTest() : SurvivalTest(1) {
    Wanted wanted;
    wanted.spec.name = "web";
    wanted.spec.instances = 2;
    wanted.spec.pipe_mode = true;
    wanted.running = true;
    store_["web"] = wanted;
    EXPECT_THAT(supervisor_->Add(wanted.spec), IsOk());
    supervisor_->Start({"web", std::nullopt}, [](absl::Status) {});
    MoveOn();
    MoveOn();
  }

  // Somebody has said hello there, and was not told to stop.
  bool IsServed(uint32_t instance) {
    return std::any_of(keeper_.processes.begin(), keeper_.processes.end(),
                       [&](const auto& entry) {
                         const auto& [key, process] = entry;
                         const auto memo =
                             DecodeProcessMemo(keeper_.notes[key]);
                         return key.instance == instance && process.spawned &&
                                !process.exited && !process.draining &&
                                !process.told_to_stop && memo &&
                                memo->phase == ProcessMemo::Phase::kReady;
                       });
  }

  // Of the other fates only those that a replacement can meet.
  void Step() {
    const auto processes = keeper_.processes;
    for (const auto& [key, process] : processes) {
      if (process.exited) continue;
      const auto memo = DecodeProcessMemo(keeper_.notes[key]);
      const bool is_new = memo && memo->role == Role::kReplacement;
      if (Chance(2)) life_.EndAfter(Pick(6));
      if (!process.spawned) {
        is_new&& Chance(5) ? SpawnFails(key) : Spawns(key);
      } else if (process.told_to_stop) {
        Exits(key, 0);
      } else if (process.draining) {
        supervisor_->OnDrained(key);
      } else if (is_new && Chance(10)) {
        Exits(key, 1);
      } else {
        supervisor_->OnHello(key, "node/1.0");
      }
      KillAgentIfItsLifeIsOver();
      CheckInvariants();
      for (const uint32_t i : {0U, 1U}) ASSERT_TRUE(IsServed(i)) << i;
    }
    AnswerSweep();
    KillAgentIfItsLifeIsOver();
  }
};

TEST_F(ThousandReloadsTest, NeverIsAnInstanceWithoutAProcessThatServes) {
  int succeeded = 0;
  int failed = 0;
  int interrupted = 0;
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    std::optional<absl::Status> result;
    supervisor_->Reload({"web", std::nullopt},
                        [&result](absl::Status s) { result = std::move(s); });
    for (int step = 0; !result && step < 200 && !HasFailure(); ++step) Step();
    ASSERT_TRUE(result.has_value());
    if (result->ok()) {
      ++succeeded;
    } else if (absl::IsAborted(*result)) {
      ++interrupted;  // The agent was killed.
    } else {
      ++failed;
      EXPECT_NE(result->message().find("the old process stays as it was"),
                std::string_view::npos);
    }
  }
  EXPECT_GT(succeeded, 400);
  EXPECT_GT(failed, 100);
  EXPECT_GT(interrupted, 50);
  life_.Begin();
  CheckThatAllIsAsWanted();
}

}  // namespace
}  // namespace apm::supervisor
