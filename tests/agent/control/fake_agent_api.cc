#include "tests/agent/control/fake_agent_api.h"

#include <signal.h>
#include <stdlib.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "agent/config/worker_fields.h"
#include "agent/supervisor/transition_table.h"

namespace apm::testing {
namespace {

using agent::ApiCallback;
using agent::WorkerView;
using supervisor::InstanceState;
using supervisor::WorkerState;

std::string WorkerOf(std::string_view name) {
  return std::string(name.substr(0, name.find('/')));
}

void SetInstances(WorkerView& view, uint32_t count) {
  view.state.instances.resize(count);
  view.instance_ids.resize(count);
  view.usage.resize(count);
  for (uint32_t index = 0; index < count; ++index) {
    view.state.instances[index].index = index;
    view.instance_ids[index] = 10 * view.id + index;
  }
}

void SetState(WorkerView& view, WorkerState worker, InstanceState instance) {
  view.state.state = worker;
  for (size_t i = 0; i < view.state.instances.size(); ++i) {
    supervisor::InstanceSnapshot& snapshot = view.state.instances[i];
    const bool runs = instance == InstanceState::kReady;
    snapshot.state = instance;
    snapshot.pid =
        runs ? static_cast<pid_t>(100 * view.id + snapshot.index) : 0;
    snapshot.uptime = runs ? absl::Seconds(192) : absl::ZeroDuration();
    view.usage[i] =
        runs ? agent::ProcessUsage{.cpu_percent = 1.5, .rss_bytes = 47'500'000}
             : agent::ProcessUsage{};
  }
}

}  // namespace

void FakeAgentApi::Add(const std::string& name,
                       std::vector<std::string> servers, uint32_t instances) {
  config::WorkerFields fields;
  fields.name = name;
  fields.exec = "/usr/bin/env";
  fields.path = "/srv";
  fields.servers = std::move(servers);
  fields.instances = absl::StrCat(instances);
  Create({}, fields, /*validate_only=*/false, /*wait=*/true,
         [](const absl::StatusOr<WorkerView>&) {});
}

absl::StatusOr<WorkerView> FakeAgentApi::Get(std::string_view name) {
  const auto found = workers.find(WorkerOf(name));
  if (found != workers.end() && found->first == "fatal") raise(SIGKILL);
  if (found != workers.end()) return found->second;
  return absl::NotFoundError(absl::StrCat("no worker '", std::string(name),
                                          "'; look with: apmctl list"));
}

std::vector<WorkerView> FakeAgentApi::List() {
  std::vector<WorkerView> list;
  for (const auto& [name, view] : workers) list.push_back(view);
  return list;
}

void FakeAgentApi::Create(const agent::Caller& caller,
                          const config::WorkerFields& fields,
                          bool validate_only, bool /*wait*/,
                          ApiCallback<WorkerView> done) {
  last_creator = caller;
  auto config = config::ValidateWorker(fields);
  if (!config.ok()) return done(config.status());
  if (workers.count(config->name) > 0) {
    return done(absl::AlreadyExistsError(
        absl::StrCat("there is a worker '", config->name, "' already")));
  }
  WorkerView view;
  view.id = static_cast<uint32_t>(workers.size() + 1);
  view.config = *std::move(config);
  view.state.name = view.config.name;
  SetInstances(view, static_cast<uint32_t>(view.config.instances));
  SetState(view, WorkerState::kReady, InstanceState::kReady);
  if (view.config.name == "unsaved") view.warnings = {"it is not stored"};
  if (!validate_only) workers[view.config.name] = view;
  done(view);
}

bool FakeAgentApi::Misbehave(const std::string& worker,
                             ApiCallback<WorkerView>& done) {
  if (worker == "fatal") raise(SIGKILL);
  if (worker == "stuck") {
    unanswered.push_back(std::move(done));
    return true;
  }
  if (worker == "broken") {
    done(absl::FailedPreconditionError(
        "'broken' did not get ready: exited with status 1; see: apmctl logs "
        "broken"));
    return true;
  }
  return false;
}

void FakeAgentApi::Operate(std::string_view name, WorkerState worker_state,
                           InstanceState instance_state,
                           ApiCallback<WorkerView> done) {
  const std::string worker = WorkerOf(name);
  const auto found = workers.find(worker);
  if (found == workers.end()) return done(Get(name));
  if (Misbehave(worker, done)) return;
  WorkerView& view = found->second;
  SetState(view, worker_state, instance_state);
  view.overlays.clear();
  if (worker_state == WorkerState::kStopped) view.overlays = {"stopped"};
  event_log->Append({.time = absl::Now(),
                     .type = events::type::kWorkerState,
                     .worker = worker,
                     .generation = 1,
                     .from_state = "starting",
                     .to_state = std::string(supervisor::Name(instance_state)),
                     .text = "as told"});
  done(view);
}

void FakeAgentApi::Start(std::string_view name, bool /*wait*/,
                         ApiCallback<WorkerView> done) {
  Operate(name, WorkerState::kReady, InstanceState::kReady, std::move(done));
}

void FakeAgentApi::Stop(std::string_view name, bool /*wait*/,
                        ApiCallback<WorkerView> done) {
  Operate(name, WorkerState::kStopped, InstanceState::kStopped,
          std::move(done));
}

void FakeAgentApi::Restart(std::string_view name, bool wait,
                           ApiCallback<WorkerView> done) {
  Start(name, wait, std::move(done));
}

void FakeAgentApi::Reload(std::string_view name, bool wait,
                          ApiCallback<WorkerView> done) {
  Start(name, wait, std::move(done));
}

void FakeAgentApi::Delete(std::string_view name,
                          ApiCallback<agent::DeleteReport> done) {
  if (workers.erase(std::string(name)) == 0) return done(Get(name).status());
  done(agent::DeleteReport{
      .survivors = {absl::StrCat(std::string(name), "/0 (pid 12)")},
      .warnings = {}});
}

void FakeAgentApi::Scale(std::string_view name, uint32_t instances,
                         bool /*wait*/, ApiCallback<WorkerView> done) {
  const auto found = workers.find(WorkerOf(name));
  if (found == workers.end()) return done(Get(name));
  if (Misbehave(found->first, done)) return;
  WorkerView& view = found->second;
  SetInstances(view, instances);
  SetState(view, WorkerState::kReady, InstanceState::kReady);
  view.overlays = {
      absl::StrCat("instances ", view.config.instances, " -> ", instances)};
  done(view);
}

void FakeAgentApi::ApplyConfig(bool prune, bool dry_run,
                               ApiCallback<agent::ApplyReport> done) {
  done(apply(prune, dry_run));
}

void FakeAgentApi::UpgradeKeeper(ApiCallback<agent::UpgradeReport> done) {
  done(upgrade_report);
}

absl::StatusOr<agent::LogFile> FakeAgentApi::FindLog(std::string_view name) {
  auto view = Get(name);
  if (!view.ok()) return view.status();
  const std::string worker = WorkerOf(name);
  agent::LogFile file{.worker = worker,
                      .path = log_store ? log_store->Path(worker) : log_path};
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    file.instance = atoi(std::string(name.substr(slash + 1)).c_str());
  }
  return file;
}

void FakeAgentApi::Shutdown(ApiCallback<agent::ShutdownReport> done) {
  done(agent::ShutdownReport{
      .workers_stopped = static_cast<uint32_t>(workers.size()),
      .survivors = {"stuck/0 (pid 300)"}});
  on_shutdown();
}

}  // namespace apm::testing
