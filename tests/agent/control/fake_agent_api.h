// An agent without processes: workers are values, verbs succeed at once. What
// a test wants otherwise it says by the worker's name:
//
//   stuck    every verb on it never answers
//   broken   every verb on it fails, with a reason and a next step
//   fatal    every question and verb kills the agent, as kill -9 would
//   unsaved  it has a warning

#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent_api.h"
#include "agent/events/event_log.h"
#include "agent/logs/log_store.h"

namespace apm::testing {

// Thread: the loop's.
class FakeAgentApi final : public agent::AgentApi {
 public:
  agent::AgentStatus Status() override { return status; }
  absl::StatusOr<agent::WorkerView> Get(std::string_view name) override;
  std::vector<agent::WorkerView> List() override;
  void Create(const agent::Caller& caller, const config::WorkerFields& fields,
              bool validate_only, bool wait,
              agent::ApiCallback<agent::WorkerView> done) override;
  void Start(std::string_view name, bool wait,
             agent::ApiCallback<agent::WorkerView> done) override;
  void Stop(std::string_view name, bool wait,
            agent::ApiCallback<agent::WorkerView> done) override;
  void Restart(std::string_view name, bool wait,
               agent::ApiCallback<agent::WorkerView> done) override;
  void Reload(std::string_view name, bool wait,
              agent::ApiCallback<agent::WorkerView> done) override;
  void Delete(std::string_view name,
              agent::ApiCallback<agent::DeleteReport> done) override;
  void Scale(std::string_view name, uint32_t instances, bool wait,
             agent::ApiCallback<agent::WorkerView> done) override;
  void ApplyConfig(bool prune, bool dry_run,
                   agent::ApiCallback<agent::ApplyReport> done) override;
  void UpgradeKeeper(agent::ApiCallback<agent::UpgradeReport> done) override;
  absl::StatusOr<agent::LogFile> FindLog(std::string_view name) override;
  logs::LogStore& logs() override { return *log_store; }
  events::EventLog& events() override { return *event_log; }
  void Shutdown(agent::ApiCallback<agent::ShutdownReport> done) override;

  // A worker of `instances` instances that are ready.
  void Add(const std::string& name, std::vector<std::string> servers,
           uint32_t instances);

  std::map<std::string, agent::WorkerView> workers;
  agent::AgentStatus status;
  std::string log_path;
  std::function<absl::StatusOr<agent::ApplyReport>(bool prune, bool dry_run)>
      apply = [](bool, bool) { return agent::ApplyReport(); };
  agent::UpgradeReport upgrade_report;
  // What logs() answers with; FindLog says log_path while there is none.
  std::unique_ptr<logs::LogStore> log_store;
  std::function<void()> on_shutdown = [] {};  // After the answer.
  agent::Caller last_creator;
  // Every verb that succeeds adds a "worker.state".
  std::unique_ptr<events::EventLog> event_log =
      std::make_unique<events::EventLog>(
          events::EventRing::Create(/*epoch=*/7).value());
  // What was left unanswered on "stuck".
  std::vector<agent::ApiCallback<agent::WorkerView>> unanswered;

 private:
  // Verbs on it that do not simply succeed; whether it was one.
  bool Misbehave(const std::string& worker,
                 agent::ApiCallback<agent::WorkerView>& done);
  void Operate(std::string_view name, supervisor::WorkerState worker_state,
               supervisor::InstanceState instance_state,
               agent::ApiCallback<agent::WorkerView> done);
};

}  // namespace apm::testing
