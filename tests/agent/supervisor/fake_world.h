// A world for the supervisor to act in: processes that are entries of a map,
// and a small language to make things happen to them.

#pragma once

#include <errno.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/supervisor/ports.h"
#include "agent/supervisor/supervisor.h"
#include "tests/testing/fake_timers.h"
#include "tests/testing/status_matchers.h"

namespace apm::supervisor {

struct FakeProcesses final : Processes {
  void Remember(const InstanceKey& key, const ProcessMemo& memo) override {
    memos[key.generation] = memo;
    acts.push_back("note " + std::to_string(key.generation));
  }
  void Remember(std::string_view worker, uint32_t instance,
                const InstanceMemo& memo) override {
    instance_memos[{std::string(worker), instance}] = memo;
    acts.push_back("note " + std::string(worker) + "/" +
                   std::to_string(instance));
  }
  void Launch(const InstanceKey& key) override {
    launched.push_back(key);
    acts.push_back("launch " + std::to_string(key.generation));
  }
  void Signal(const InstanceKey& key, int signal) override {
    signals[key.generation].push_back(signal);
    acts.push_back("signal " + std::to_string(key.generation));
  }
  void Sweep(const InstanceKey& key) override {
    sweeping.push_back(key);
    acts.push_back("sweep " + std::to_string(key.generation));
  }

  std::vector<InstanceKey> launched;             // Ever, in order.
  std::map<uint64_t, std::vector<int>> signals;  // By generation.
  std::vector<InstanceKey> sweeping;             // Not answered yet.
  std::map<uint64_t, ProcessMemo> memos;         // By generation.
  std::map<std::pair<std::string, uint32_t>, InstanceMemo> instance_memos;
  std::vector<std::string> acts;  // All of the above as text, in order.
};

// The calls as text, in order: "attach 1", "ready 1", "drain 1", "detach 1",
// the number being the generation.
struct FakeTraffic final : Traffic {
  void Attach(const InstanceKey& key) override { Note("attach", key); }
  void Ready(const InstanceKey& key) override { Note("ready", key); }
  void Drain(const InstanceKey& key, StopReason reason,
             absl::Duration) override {
    Note("drain", key);
    drain_reasons.push_back(reason);
  }
  void Detach(const InstanceKey& key) override { Note("detach", key); }
  void Note(const char* what, const InstanceKey& key) {
    calls.push_back(what + (" " + std::to_string(key.generation)));
  }
  std::vector<std::string> calls;
  std::vector<StopReason> drain_reasons;
};

// "web/0 starting -> ready".
struct FakeObserver final : Observer {
  void OnStateChanged(const InstanceKey& key, InstanceState from,
                      InstanceState to, std::string_view reason) override {
    changes.push_back(key.worker + "/" + std::to_string(key.instance) + " " +
                      std::string(Name(from)) + " -> " + std::string(Name(to)));
    reasons.emplace_back(reason);
  }
  void OnKilled(const InstanceKey&, pid_t pid, absl::Duration) override {
    killed.push_back(pid);
  }
  void OnSurvivors(const InstanceKey&,
                   std::span<const Survivor> found) override {
    survivors.insert(survivors.end(), found.begin(), found.end());
  }
  void OnInstanceRemoved(std::string_view worker, uint32_t instance) override {
    removed.push_back(std::string(worker) + "/" + std::to_string(instance));
  }
  std::vector<std::string> changes;
  std::vector<std::string> reasons;
  std::vector<pid_t> killed;
  std::vector<Survivor> survivors;
  std::vector<std::string> removed;
};

// How one command ended. What is told after this is gone (a supervisor that is
// destroyed tells all who wait) is not heard, and does no harm.
class Outcome {
 public:
  Done Callback() {
    return [result = result_](absl::Status status) {
      ++result->calls;
      result->status = std::move(status);
    };
  }
  int calls() const { return result_->calls; }
  const absl::Status& status() const { return result_->status; }
  bool open() const { return calls() == 0; }

 private:
  struct Result {
    int calls = 0;
    absl::Status status = absl::UnknownError("not told yet");
  };
  std::shared_ptr<Result> result_ = std::make_shared<Result>();
};

class SupervisorTest : public ::testing::Test {
 protected:
  explicit SupervisorTest(uint64_t first_generation = 1)
      : first_generation_(first_generation) {}

  static WorkerSpec Plain(std::string name = "web", uint32_t instances = 1) {
    WorkerSpec spec;
    spec.name = std::move(name);
    spec.instances = instances;
    return spec;
  }
  static WorkerSpec Pipe(std::string name = "web", uint32_t instances = 1) {
    WorkerSpec spec = Plain(std::move(name), instances);
    spec.pipe_mode = true;
    return spec;
  }

  // What happens to processes.
  // A copy: an event may lead to the next launch.
  InstanceKey Latest() const { return processes_.launched.back(); }
  size_t Launches() const { return processes_.launched.size(); }
  void Spawn(const InstanceKey& key) {
    supervisor_.OnSpawned(key, static_cast<pid_t>(1000 + key.generation));
  }
  void Exit(const InstanceKey& key, int code) {
    ProcessExit exit;
    exit.code = code;
    EndWith(key, exit);
  }
  void KilledBy(const InstanceKey& key, int signal) {
    ProcessExit exit;
    exit.signal = signal;
    EndWith(key, exit);
  }
  void EndWith(const InstanceKey& key, const ProcessExit& exit) {
    supervisor_.OnExited(key, exit);
    if (sweeps_at_once_) AnswerSweeps();
  }
  void AnswerSweeps() {
    for (const InstanceKey& key : std::exchange(processes_.sweeping, {})) {
      supervisor_.OnSwept(key, {});
    }
  }
  void SpawnFails(const InstanceKey& key) {
    supervisor_.OnSpawnFailed(
        key, "exec", ENOENT, "exec '/usr/bin/node': No such file or directory");
  }
  const std::vector<int>& SignalsTo(const InstanceKey& key) {
    return processes_.signals[key.generation];
  }

  // Adds a worker and brings all its instances up; the keys by instance.
  std::vector<InstanceKey> Up(const WorkerSpec& spec) {
    EXPECT_THAT(supervisor_.Add(spec), apm::testing::IsOk());
    const size_t before = Launches();
    supervisor_.Start({spec.name, std::nullopt}, [](absl::Status) {});
    const std::vector<InstanceKey> keys(
        processes_.launched.begin() + static_cast<ptrdiff_t>(before),
        processes_.launched.end());
    for (const InstanceKey& key : keys) Spawn(key);
    timers_.AdvanceBy(spec.ready_after);
    EXPECT_EQ(StateOf(spec.name), WorkerState::kReady);
    return keys;
  }

  InstanceSnapshot Instance0(std::string_view worker = "web") const {
    return supervisor_.Find(worker)->instances[0];
  }
  InstanceState State(uint32_t index = 0) const {
    return supervisor_.Find("web")->instances[index].state;
  }
  WorkerState StateOf(std::string_view worker) const {
    return supervisor_.Find(worker)->state;
  }

  static inline const Target kWeb{"web", std::nullopt};
  const uint64_t first_generation_;

  apm::testing::FakeTimers timers_;
  apm::testing::FakeClock clock_{timers_};
  FakeProcesses processes_;
  FakeTraffic traffic_;
  FakeObserver observer_;
  bool sweeps_at_once_ = true;
  double chance_ = 0;  // What Options::random gives; 0: no jitter.
  Supervisor supervisor_{{.timers = timers_,
                          .clock = clock_,
                          .processes = processes_,
                          .traffic = traffic_,
                          .observer = observer_,
                          .random = [this] { return chance_; },
                          .first_generation = first_generation_}};
};

}  // namespace apm::supervisor
