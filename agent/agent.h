// The agent: wires the modules together and answers the control API.
//
//   keeper events -> supervisor -> launcher -> keeper; worker links -> proxy
//   control API   -> store, supervisor, listeners, records
//   proxy events  -> supervisor
//
//   agent.cc           construction, and what keeper and proxy say
//   agent_boot.cc      from the first word of the keeper to the first answer
//   agent_workers.cc   taking workers on and letting them go
//   agent_commands.cc  the control API's verbs
//   agent_views.cc     what the control API is shown
//   agent_apply.cc     making what runs agree with the configuration files
//
// It decides nothing about restarts (agent/supervisor), parses nothing
// (agent/config) and speaks no gRPC (agent/control).

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/agent_api.h"
#include "agent/background.h"
#include "agent/config/config.h"
#include "agent/config/plan.h"
#include "agent/control/control_server.h"
#include "agent/counter_board.h"
#include "agent/event_writer.h"
#include "agent/events/event_log.h"
#include "agent/inheritance.h"
#include "agent/keeper_client.h"
#include "agent/launcher.h"
#include "agent/listener_table.h"
#include "agent/logs/log_store.h"
#include "agent/note_book.h"
#include "agent/process_usage.h"
#include "agent/proxy_client.h"
#include "agent/store/store.h"
#include "agent/supervisor/ports.h"
#include "agent/supervisor/supervisor.h"
#include "agent/sweeper.h"
#include "agent/user_database.h"
#include "agent/worker_environment.h"
#include "agent/worker_links.h"
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
  // Reads config_files again. Blocks on the disk; any thread.
  std::function<config::Config()> load_config;
  Identity daemon_user;
  std::vector<control::AllowedGroup> allow_groups;
  EnvironmentBase environment;
  std::vector<std::string> warnings;
};

// What supervision has to know of a worker.
supervisor::WorkerSpec SpecFor(const WorkerRecord& record);

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
  void Scale(std::string_view name, uint32_t instances, bool wait,
             ApiCallback<WorkerView> done) override;
  void Delete(std::string_view name, ApiCallback<DeleteReport> done) override;
  void ApplyConfig(bool prune, bool dry_run,
                   ApiCallback<ApplyReport> done) override;
  void UpgradeKeeper(ApiCallback<UpgradeReport> done) override;
  absl::StatusOr<LogFile> FindLog(std::string_view name) override;
  events::EventLog& events() override { return *events_; }
  logs::LogStore& logs() override { return *logs_; }
  void Shutdown(ApiCallback<ShutdownReport> done) override;

  // KeeperEvents
  void OnWelcome(Welcome welcome) override;
  void OnSpawned(const InstanceKey& key, pid_t pid,
                 uint64_t start_ticks) override;
  void OnSpawnFailed(const InstanceKey& key, std::string_view step, int error,
                     std::string_view detail) override;
  void OnExited(const InstanceKey& key, const ProcessExit& exit) override;
  void OnStoredFd(std::string_view name, UniqueFd fd) override;
  void OnProxyStarted(pid_t pid, uint64_t incarnation,
                      UniqueFd channel) override;
  void OnProxyExited(const ProxyExit& exit) override;
  void OnShutdownRequested() override;
  void OnReexeced(const ReexecReport& report) override;
  void OnKeeperGone(const absl::Status& reason) override;

  // ProxyEvents
  void OnProxyReady(uid_t uid, std::string_view warning) override;
  void OnWorkerHello(const LinkKey& link, const WorkerTraits& traits) override;
  void OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) override;
  void OnWorkerLinkLost(const LinkKey& link) override;
  void OnProxyGone(const absl::Status& reason) override;

  // supervisor::Observer
  void OnStateChanged(const InstanceKey& key, supervisor::InstanceState from,
                      supervisor::InstanceState to,
                      std::string_view reason) override;
  void OnKilled(const InstanceKey& key, pid_t pid,
                absl::Duration waited) override;
  void OnSurvivors(const InstanceKey& key,
                   std::span<const supervisor::Survivor> survivors) override;
  void OnInstanceRemoved(std::string_view worker, uint32_t instance) override;

 private:
  using Command = void (supervisor::Supervisor::*)(const supervisor::Target&,
                                                   supervisor::Done);
  struct Apply;  // One ApplyConfig that is under way.

  Agent(EventLoop& loop, UniqueFd keeper_channel, Setup setup,
        std::unique_ptr<logs::LogStore> logs,
        std::unique_ptr<EventLoop> background_loop);

  // ---- Boot (agent_boot.cc) ----
  void OnDesiredState(absl::StatusOr<store::DesiredState> state);
  // Once everything that was asked for is here, and nothing of an earlier
  // life of the daemon is left that would run twice.
  void BootWhenComplete();
  void Boot();
  absl::Status TakeSharedMemory();
  // What should run, of what is stored and what the files say.
  std::vector<store::DesiredWorker> ChooseWorkers();
  void CompleteFirstBoot();
  bool IsDisabled(std::string_view name) const;
  void BootWorker(store::DesiredWorker desired);
  void AdoptProcesses();
  // Starts, stops and deletes what is not as it should be.
  void Converge();
  bool IsOutdated(const WorkerRecord& record, uint32_t instance) const;

  // ---- Workers (agent_workers.cc) ----
  // Takes on a worker: ids, slot, listeners (unless they are there already),
  // supervisor. On failure nothing of it is left.
  absl::StatusOr<WorkerRecord*> Admit(
      store::DesiredWorker desired, RunAs run_as, bool keep_when_bind_fails,
      std::optional<ListenerTable::Prepared> listeners = std::nullopt);
  void AssignInstanceIds(store::DesiredWorker& desired);
  absl::StatusOr<RunAs> RunAsOf(const store::DesiredWorker& desired) const;
  // Stops a worker and lets it go, with all that it has here.
  void TakeDown(const std::string& name, supervisor::Done done);
  // The same for good, of one that is stored as to be deleted.
  void Remove(const std::string& name, supervisor::Done done);
  // Tries again what failed when the worker was taken on.
  absl::Status OpenListeners(WorkerRecord& record);
  absl::Status OpenAccessLogOf(WorkerRecord& record);
  // What belongs to a route: its access log, its listeners.
  void Announce(const WorkerRecord& record);
  void SendRoutes();
  // Tells a proxy everything: what it has from an earlier agent goes on where
  // the numbers are the same, and ends where they are not.
  void IntroduceToProxy();
  void Save(std::vector<store::DesiredWorker> changed,
            std::vector<std::string> erased, store::Store::Done done);

  // ---- Commands (agent_commands.cc) ----
  void CreateResolved(const config::WorkerConfig& config, RunAs run_as,
                      std::optional<store::Owner> owner, bool validate_only,
                      bool wait, ApiCallback<WorkerView> done);
  void Run(Command command, const supervisor::Target& target, bool wait,
           ApiCallback<WorkerView> done);
  // Of a command that starts processes: with listeners, or not at all.
  void RunStart(Command command, std::string_view name, bool wait,
                bool clear_stopped, ApiCallback<WorkerView> done);
  static bool ClearStopped(store::DesiredWorker& desired,
                           std::optional<uint32_t> instance);
  static void SetInstances(store::DesiredWorker& desired, uint32_t instances);
  // Stores the record; the returned callback answers when that is done too.
  ApiCallback<WorkerView> AfterStored(const WorkerRecord& record,
                                      ApiCallback<WorkerView> done);

  // ---- Views (agent_views.cc) ----
  absl::StatusOr<supervisor::Target> ParseTarget(std::string_view name) const;
  WorkerView View(const WorkerRecord& record,
                  const supervisor::WorkerSnapshot& snapshot);

  // ---- Apply (agent_apply.cc) ----
  void ApplyLoaded(std::shared_ptr<Apply> apply);
  std::vector<config::CurrentWorker> CurrentWorkers() const;
  void AddUnfinished(Apply& apply) const;
  absl::Status OpenForApply(Apply& apply);
  void StoreAndPerform(const std::shared_ptr<Apply>& apply);
  store::DesiredWorker WantedOf(const config::PlannedChange& change);
  void Perform(const std::shared_ptr<Apply>& apply, size_t index,
               store::DesiredWorker desired);
  void Update(WorkerRecord& record, store::DesiredWorker desired, RunAs run_as,
              ListenerTable::Prepared listeners);
  void TakeSteps(const std::string& name, config::ChangeSteps steps,
                 supervisor::Done done);

  void OnSwept(const InstanceKey& key,
               const std::vector<supervisor::Survivor>& survivors);
  void OnDurabilityChanged(bool durable, const std::string& reason);
  supervisor::InstanceKey KeyOf(const LinkKey& link);
  void EndProcess(int exit_code);

  EventLoop& loop_;
  SystemClock clock_;
  Setup setup_;
  const absl::Time started_;

  WorkerRecords records_;
  // Of the configuration, and deleted by command: not listed, not forgotten.
  std::map<std::string, store::DesiredWorker, std::less<>> deleted_;
  std::unique_ptr<CounterBoard> counters_;
  std::unique_ptr<logs::LogStore> logs_;
  std::unique_ptr<events::EventLog> events_;
  std::unique_ptr<EventWriter> event_writer_;
  UsageSampler usage_;
  KeeperClient keeper_;
  ProxyClient proxy_;
  NoteBook notes_;
  ListenerTable listeners_;
  WorkerLinks links_;
  Sweeper sweeper_;
  Launcher launcher_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<control::ControlServer> control_;

  pid_t keeper_pid_ = 0;
  pid_t proxy_pid_ = 0;
  uint64_t proxy_incarnation_ = 0;
  std::string proxy_warning_;  // What its sandbox lacks.
  uint64_t incarnation_ = 0;
  uint32_t next_instance_id_ = 0;
  std::string not_durable_;  // Why; empty while changes are stored.

  // Of the boot.
  Inheritance inheritance_;
  std::optional<store::DesiredState> desired_;
  bool first_boot_ = true;  // Of this life of the daemon.
  bool swept_ = false;
  TimerId boot_timer_ = kNoTimer;
  std::vector<std::function<void()>> early_events_;  // Of the keeper.
  bool booted_ = false;  // Until then the proxy is told nothing.

  // The end of a process that the supervisor is told of, for the event it
  // leads to: of a crash when it exits, of a stop when all of it is gone.
  struct End {
    InstanceKey key;
    ProcessExit exit;
    bool swept = false;
  };
  std::optional<End> judged_;
  std::map<InstanceKey, ProcessExit, KeyOrder> exits_;  // Until they are swept.

  // "web/0 (pid 12)" by worker: what had to be killed since a command that
  // will report it began.
  std::map<std::string, std::vector<std::string>, std::less<>> killed_;
  std::vector<ApiCallback<UpgradeReport>> upgrades_;
  bool applying_ = false;
  bool shutting_down_ = false;
  int exit_code_ = 0;

  // Last: its thread ends first, so that nothing is posted to a half of us.
  Background background_;
};

}  // namespace apm::agent
