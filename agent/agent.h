// The agent: wires the modules together and answers the control API.
//
//   keeper events -> supervisor -> launcher -> keeper, proxy
//   control API   -> supervisor, listeners, records
//   proxy events  -> supervisor
//
// agent.cc boots it and hears the keeper and the proxy; agent_commands.cc
// answers the control API.
//
// It decides nothing about restarts (agent/supervisor), parses nothing
// (agent/config) and speaks no gRPC (agent/control).

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/agent_api.h"
#include "agent/background.h"
#include "agent/config/config.h"
#include "agent/control/control_server.h"
#include "agent/counter_board.h"
#include "agent/events/event_log.h"
#include "agent/keeper_client.h"
#include "agent/launcher.h"
#include "agent/listener_table.h"
#include "agent/logs/log_store.h"
#include "agent/process_usage.h"
#include "agent/proxy_client.h"
#include "agent/supervisor/ports.h"
#include "agent/supervisor/supervisor.h"
#include "agent/user_database.h"
#include "agent/worker_environment.h"
#include "agent/worker_record.h"
#include "base/os/clock.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// Exit status that tells the keeper not to try again: the command line, the
// configuration or the socket must be changed first (sysexits.h).
inline constexpr int kExitConfig = 78;

// Everything that is decided before the loop runs.
struct Setup {
  std::string socket;     // "@apm"
  std::string state_dir;  // Absolute; exists.
  std::string log_dir;    // Of the workers; made if it is not there.
  std::string log_file;
  std::vector<std::string> config_files;
  config::Config config;
  Identity daemon_user;
  std::vector<control::AllowedGroup> allow_groups;
  EnvironmentBase environment;
  std::vector<std::string> warnings;
};

// Thread: the main loop's.
class Agent final : public AgentApi,
                    public KeeperEvents,
                    public ProxyEvents,
                    public supervisor::Observer {
 public:
  // `keeper_channel` is the end that the keeper passed. The errors are those
  // of the socket, the log folder and the kernel's memory.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(EventLoop& loop,
                                                       UniqueFd keeper_channel,
                                                       Setup setup);
  ~Agent() override;

  // What the process should exit with once the loop has stopped.
  int exit_code() const { return exit_code_; }

  // AgentApi
  AgentStatus Status() override;
  absl::StatusOr<WorkerView> Get(std::string_view name) override;
  std::vector<WorkerView> List() override;
  void Create(const Caller& caller, const config::WorkerFields& fields,
              bool validate_only, bool wait,
              ApiCallback<WorkerView> done) override;
  void Start(std::string_view name, bool wait,
             ApiCallback<WorkerView> done) override;
  void Stop(std::string_view name, bool wait,
            ApiCallback<WorkerView> done) override;
  void Restart(std::string_view name, bool wait,
               ApiCallback<WorkerView> done) override;
  void Reload(std::string_view name, bool wait,
              ApiCallback<WorkerView> done) override;
  void Delete(std::string_view name,
              ApiCallback<std::vector<std::string>> done) override;
  void Scale(std::string_view name, uint32_t instances, bool wait,
             ApiCallback<WorkerView> done) override;
  void ApplyConfig(bool prune, bool dry_run,
                   ApiCallback<ApplyReport> done) override;
  void UpgradeKeeper(ApiCallback<UpgradeReport> done) override;
  absl::StatusOr<LogFile> FindLog(std::string_view name) override;
  events::EventLog& events() override { return *events_; }
  logs::LogStore& logs() override { return *logs_; }
  void Shutdown(ApiCallback<ShutdownReport> done) override;

  // KeeperEvents
  void OnWelcome(pid_t keeper, uint64_t agent_incarnation,
                 std::vector<RunningProcess> running,
                 std::vector<std::string> stored_fds) override;
  void OnSpawned(const InstanceKey& key, pid_t pid,
                 uint64_t start_ticks) override;
  void OnSpawnFailed(const InstanceKey& key, std::string_view step, int error,
                     std::string_view detail) override;
  void OnExited(const InstanceKey& key, const ProcessExit& exit) override;
  void OnStoredFd(std::string_view name, UniqueFd fd) override;
  void OnProxyStarted(pid_t pid, uint64_t incarnation,
                      UniqueFd channel) override;
  void OnProxyExited(pid_t pid) override;
  void OnShutdownRequested() override;
  void OnKeeperGone(const absl::Status& reason) override;

  // ProxyEvents
  void OnProxyReady(uid_t uid, std::string_view warning) override;
  void OnWorkerHello(const LinkKey& link, std::string_view connector) override;
  void OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) override;
  void OnWorkerLinkLost(const LinkKey& link) override;
  void OnProxyGone(const absl::Status& reason) override;

  // supervisor::Observer
  void OnStateChanged(const InstanceKey& key, supervisor::InstanceState from,
                      supervisor::InstanceState to,
                      std::string_view reason) override;
  void OnKilled(const InstanceKey& key, pid_t pid,
                absl::Duration waited) override;

 private:
  using Command = void (supervisor::Supervisor::*)(const supervisor::Target&,
                                                   supervisor::Done);

  Agent(EventLoop& loop, UniqueFd keeper_channel, Setup setup,
        std::unique_ptr<CounterBoard> counters,
        std::unique_ptr<logs::LogStore> logs,
        std::unique_ptr<EventLoop> background_loop);

  // Once every stored descriptor is here, and no process of an earlier agent
  // is left that would run twice.
  void BootWhenComplete();
  void Boot();  // Starts what the configuration names.
  void BootWorker(const config::WorkerConfig& config);

  // Takes on a worker: ids, slot, listeners, supervisor. On failure nothing
  // of it is left.
  absl::StatusOr<WorkerRecord*> Admit(WorkerSource source,
                                      const config::WorkerConfig& config,
                                      RunAs run_as, bool keep_when_bind_fails);
  void CreateResolved(const config::WorkerConfig& config, RunAs run_as,
                      bool validate_only, bool wait,
                      ApiCallback<WorkerView> done);
  void Forget(const std::string& name);

  void Run(Command command, std::string_view name, bool wait,
           ApiCallback<WorkerView> done);
  // Of a command that starts processes: with listeners, or not at all.
  void RunStart(Command command, std::string_view name, bool wait,
                ApiCallback<WorkerView> done);
  // Tries again what failed when the worker was taken on.
  absl::Status OpenListeners(WorkerRecord& record);
  absl::StatusOr<supervisor::Target> ParseTarget(std::string_view name) const;
  void SendRoutes();
  absl::Status OpenAccessLogOf(WorkerRecord& record);
  // What belongs to a route: its access log, its listeners.
  void Announce(const WorkerRecord& record);
  // Tells a proxy everything: what it has from an earlier agent goes on where
  // the numbers are the same, and ends where they are not.
  void IntroduceToProxy();
  WorkerView View(const WorkerRecord& record,
                  const supervisor::WorkerSnapshot& snapshot);
  supervisor::InstanceKey KeyOf(const LinkKey& link);
  void EndProcess(int exit_code);

  EventLoop& loop_;
  SystemClock clock_;
  Setup setup_;
  const absl::Time started_;

  WorkerRecords records_;
  std::unique_ptr<CounterBoard> counters_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<events::EventLog> events_;
  UsageSampler usage_;
  KeeperClient keeper_;
  ProxyClient proxy_;
  ListenerTable listeners_;
  Launcher launcher_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<control::ControlServer> control_;

  pid_t keeper_pid_ = 0;
  pid_t proxy_pid_ = 0;
  std::string proxy_warning_;  // What its sandbox lacks.
  uint64_t incarnation_ = 0;
  uint32_t last_instance_id_ = 0;
  std::set<std::string, std::less<>> awaited_fds_;
  std::vector<InstanceKey> awaited_exits_;
  TimerId boot_timer_ = kNoTimer;
  // "web/0 (pid 12)" by worker: what had to be killed since a command that
  // will report it began.
  std::map<std::string, std::vector<std::string>, std::less<>> killed_;
  bool booted_ = false;  // Until then the proxy is told nothing.
  bool shutting_down_ = false;
  int exit_code_ = 0;

  // Last: its thread ends first, so that nothing is posted to a half of us.
  Background background_;
};

}  // namespace apm::agent
