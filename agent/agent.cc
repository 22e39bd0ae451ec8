#include "agent/agent.h"

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "agent/access_log_file.h"
#include "agent/config/worker_fields.h"
#include "agent/log_policy.h"
#include "agent/run_as.h"
#include "agent/supervisor/worker_spec.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::agent {
namespace {

// An incarnation of the agent numbers its processes in a range of its own.
constexpr uint64_t kGenerationsPerIncarnation = uint64_t{1} << 32;

// How long the boot waits for what an earlier agent left: a killed process
// may hang in the kernel.
constexpr absl::Duration kBootPatience = absl::Seconds(5);

std::function<double()> UniformRandom() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

supervisor::WorkerSpec SpecFor(const config::WorkerConfig& config) {
  supervisor::WorkerSpec spec;
  spec.name = config.name;
  spec.instances = static_cast<uint32_t>(config.instances);
  spec.pipe_mode = !config.listeners.empty();
  switch (config.restart) {
    case config::RestartPolicy::kAlways:
      spec.restart = supervisor::RestartPolicy::kAlways;
      break;
    case config::RestartPolicy::kOnFailure:
      spec.restart = supervisor::RestartPolicy::kOnFailure;
      break;
    case config::RestartPolicy::kNever:
      spec.restart = supervisor::RestartPolicy::kNever;
      break;
  }
  spec.stop_signal = config.stop_signal;
  spec.stop_timeout = config.stop_timeout;
  return spec;
}

// Names may contain dots: 'web.access' logs where 'web' would log requests.
bool AccessLogIsLogOf(const config::WorkerConfig& worker,
                      const config::WorkerConfig& other) {
  return worker.access_log && AccessLogName(worker.name) == other.name + ".log";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(EventLoop& loop,
                                                     UniqueFd keeper_channel,
                                                     Setup setup) {
  APM_ASSIGN_OR_RETURN(auto counters,
                       CounterBoard::Create(proxy::kMaxCounterSlots));
  APM_ASSIGN_OR_RETURN(auto logs, logs::LogStore::Create(setup.log_dir));
  APM_ASSIGN_OR_RETURN(auto background_loop, EventLoop::Create());
  control::ControlOptions control{setup.socket, setup.daemon_user.uid,
                                  setup.allow_groups};
  std::unique_ptr<Agent> agent(new Agent(
      loop, std::move(keeper_channel), std::move(setup), std::move(counters),
      std::move(logs), std::move(background_loop)));
  APM_ASSIGN_OR_RETURN(auto ring,
                       events::EventRing::Create(static_cast<uint64_t>(
                           absl::ToUnixMicros(agent->started_))));
  agent->events_ = std::make_unique<events::EventLog>(std::move(ring));
  // Binds now, serves after the boot: a client that connects in between waits
  // and finds its workers.
  APM_ASSIGN_OR_RETURN(agent->control_, control::ControlServer::Create(
                                            loop, *agent, std::move(control)));
  APM_RETURN_IF_ERROR(agent->keeper_.Start());
  return agent;
}

Agent::Agent(EventLoop& loop, UniqueFd keeper_channel, Setup setup,
             std::unique_ptr<CounterBoard> counters,
             std::unique_ptr<logs::LogStore> logs,
             std::unique_ptr<EventLoop> background_loop)
    : loop_(loop),
      setup_(std::move(setup)),
      started_(absl::Now()),
      counters_(std::move(counters)),
      logs_(std::move(logs)),
      keeper_(loop, std::move(keeper_channel), *this),
      proxy_(loop, *this),
      listeners_(keeper_, proxy_),
      launcher_(
          {loop, keeper_, proxy_, *logs_, records_, setup_.environment,
           [this](const InstanceKey& key, std::string_view step, int error,
                  std::string_view text) {
             supervisor_->OnSpawnFailed(key, step, error, text);
           },
           [this](const InstanceKey& key) { supervisor_->OnLinkLost(key); }}),
      background_(std::move(background_loop)) {}

Agent::~Agent() = default;

// ---- Boot ----

void Agent::OnWelcome(pid_t keeper, uint64_t agent_incarnation,
                      std::vector<RunningProcess> running,
                      std::vector<std::string> stored_fds) {
  keeper_pid_ = keeper;
  incarnation_ = agent_incarnation;
  supervisor_ =
      std::make_unique<supervisor::Supervisor>(supervisor::Supervisor::Options{
          .timers = loop_,
          .clock = clock_,
          .processes = launcher_,
          .traffic = launcher_,
          .observer = *this,
          .random = UniformRandom(),
          .first_generation =
              agent_incarnation * kGenerationsPerIncarnation + 1});
  // Processes of an agent that died are replaced, not adopted: their pipes
  // are at an unknown place in a frame.
  for (const RunningProcess& process : running) {
    log::Warning("worker '%s/%d': pid %d is of an agent that has died: ended",
                 process.key.worker, process.key.instance, process.pid);
    keeper_.Signal(process.key, SIGKILL, /*to_group=*/true);
    awaited_exits_.push_back(process.key);
  }
  for (const std::string& name : stored_fds) {
    if (!ListenerTable::IsStoredName(name)) continue;
    awaited_fds_.insert(name);
    keeper_.FetchFd(name);
  }
  boot_timer_ = loop_.RunAfter(kBootPatience, [this] {
    log::Warning("%d processes of an earlier agent have not ended: going on",
                 awaited_exits_.size());
    awaited_exits_.clear();
    BootWhenComplete();
  });
  BootWhenComplete();
}

void Agent::OnStoredFd(std::string_view name, UniqueFd fd) {
  listeners_.AddStored(name, std::move(fd));
  awaited_fds_.erase(std::string(name));
  BootWhenComplete();
}

void Agent::BootWhenComplete() {
  if (booted_ || shutting_down_) return;
  if (!awaited_fds_.empty() || !awaited_exits_.empty()) return;
  loop_.Cancel(boot_timer_);
  Boot();
}

void Agent::Boot() {
  for (const config::WorkerConfig& config : setup_.config.workers) {
    BootWorker(config);
  }
  booted_ = true;
  IntroduceToProxy();
  listeners_.DropUnclaimed();
  if (absl::Status started = control_->Start(); !started.ok()) {
    log::Error("serve the control API: %s", started.ToString());
    EndProcess(1);
    return;
  }
  log::Info("apm %s is ready on '%s' with %d workers", kVersion, setup_.socket,
            records_.size());
}

void Agent::BootWorker(const config::WorkerConfig& config) {
  absl::StatusOr<RunAs> run_as = ResolveRunAs(config, setup_.daemon_user);
  absl::StatusOr<WorkerRecord*> admitted =
      run_as.ok() ? Admit(WorkerSource::kConfig, config, *std::move(run_as),
                          /*keep_when_bind_fails=*/true)
                  : absl::StatusOr<WorkerRecord*>(run_as.status());
  if (!admitted.ok()) {
    const std::string warning =
        absl::StrFormat("worker '%s' is disabled: %s", config.name,
                        admitted.status().message());
    log::Error("%s", warning);
    setup_.warnings.push_back(warning);
    return;
  }
  if (!(*admitted)->bind_error.empty()) {
    log::Error("worker '%s' is not started: %s", config.name,
               (*admitted)->bind_error);
    return;
  }
  // How it goes is in the state changes, which are logged.
  supervisor_->Start({config.name, std::nullopt}, [](const absl::Status&) {});
}

// ---- Workers ----

absl::StatusOr<WorkerRecord*> Agent::Admit(WorkerSource source,
                                           const config::WorkerConfig& config,
                                           RunAs run_as,
                                           bool keep_when_bind_fails) {
  const std::string& name = config.name;
  if (shutting_down_) return absl::UnavailableError("the agent is stopping");
  if (records_.contains(name)) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "worker '%s' exists; choose another name, or: apmctl delete %s", name,
        name));
  }
  std::vector<config::WorkerConfig> others;
  for (const auto& [other, record] : records_)
    others.push_back(AsBound(record));
  APM_RETURN_IF_ERROR(config::CheckTogether(config, others));
  WorkerRecord record;
  record.source = source;
  record.config = config;
  record.run_as = std::move(run_as);
  APM_ASSIGN_OR_RETURN(record.counter_slot, counters_->TakeSlot());
  record.id = StableId(name);
  while (FindById(records_, record.id) != nullptr || record.id == 0) {
    ++record.id;
  }
  for (int i = 0; i < config.instances; ++i) {
    record.instance_ids.push_back(last_instance_id_++);
  }
  absl::Status ready;
  if (const absl::Status opened = listeners_.Open(record); !opened.ok()) {
    record.bind_error = std::string(opened.message());
    // Whatever the kernel's reason, to the caller it is the host that has to
    // change first.
    if (!keep_when_bind_fails) {
      ready = absl::FailedPreconditionError(record.bind_error);
    }
  }
  if (ready.ok()) ready = OpenAccessLogOf(record);
  if (ready.ok()) ready = supervisor_->Add(SpecFor(config));
  if (!ready.ok()) {
    listeners_.Close(record);
    counters_->ReturnSlot(record.counter_slot);
    return ready;
  }
  WorkerRecord& kept = records_[name] = std::move(record);
  logs_->Configure(name, LogPolicyOf(config.log));
  if (booted_) {
    SendRoutes();
    Announce(kept);
  }
  return &kept;
}

absl::Status Agent::OpenAccessLogOf(WorkerRecord& record) {
  const std::string& name = record.config.name;
  for (const auto& [other_name, other] : records_) {
    if (AccessLogIsLogOf(other.config, record.config) ||
        AccessLogIsLogOf(record.config, other.config)) {
      return absl::AlreadyExistsError(absl::StrFormat(
          "workers '%s' and '%s' would write to one file, the log of one being "
          "the access log of the other; choose another name",
          name, other_name));
    }
  }
  if (!record.config.access_log || !record.pipe_mode()) return absl::OkStatus();
  std::string path =
      absl::StrCat(setup_.state_dir, "/logs/", AccessLogName(name));
  APM_ASSIGN_OR_RETURN(record.access_log, OpenAccessLog(path));
  record.access_log_path = std::move(path);
  return absl::OkStatus();
}

void Agent::Forget(const std::string& name) {
  const auto found = records_.find(name);
  if (found == records_.end()) return;
  listeners_.Close(found->second);  // A start meanwhile may have opened them.
  counters_->ReturnSlot(found->second.counter_slot);
  records_.erase(found);
  logs_->RemoveWorker(name);
  SendRoutes();
}

void Agent::SendRoutes() {
  std::vector<RouteSpec> routes;
  for (const auto& [name, record] : records_) {
    if (!record.pipe_mode()) continue;
    routes.push_back({record.id, name, record.counter_slot,
                      record.config.trust_proxy, record.config.trusted,
                      !record.access_log_path.empty()});
  }
  proxy_.SendSnapshot(routes);
}

void Agent::Announce(const WorkerRecord& record) {
  // First the log: the first request is to be in it.
  if (record.access_log) {
    proxy_.UseAccessLog(record.id, record.access_log.get());
  }
  listeners_.Announce(record);
}

// ---- Shutdown ----

void Agent::OnShutdownRequested() {
  Shutdown([](const absl::StatusOr<ShutdownReport>&) {});
}

void Agent::EndProcess(int exit_code) {
  exit_code_ = exit_code;
  control_->Stop(absl::Seconds(1));
  if (exit_code == 0) keeper_.Shutdown();
  loop_.Stop();
}

void Agent::OnKeeperGone(const absl::Status& reason) {
  log::Error("the keeper has gone (%s): ending, and the workers with us",
             reason.message());
  // The next keeper starts them: whoever goes on now would run twice.
  launcher_.KillAll();
  exit_code_ = 1;
  control_->Stop(absl::ZeroDuration());
  loop_.Stop();
}

// ---- Keeper and proxy to supervisor ----

void Agent::OnSpawned(const InstanceKey& key, pid_t pid, uint64_t start_ticks) {
  launcher_.OnSpawned(key, pid, start_ticks);
  supervisor_->OnSpawned(key, pid);
}

void Agent::OnSpawnFailed(const InstanceKey& key, std::string_view step,
                          int error, std::string_view detail) {
  if (std::erase(awaited_exits_, key) > 0) return BootWhenComplete();
  const std::string text = launcher_.DescribeFailure(key, step, error, detail);
  launcher_.OnGone(key);
  supervisor_->OnSpawnFailed(key, step, error, text);
}

void Agent::OnExited(const InstanceKey& key, const ProcessExit& exit) {
  // What the process left behind in its group ends with it; the keeper still
  // knows the group until the exit is acknowledged.
  keeper_.Signal(key, SIGKILL, /*to_group=*/true);
  keeper_.AckExit(key);
  if (std::erase(awaited_exits_, key) > 0) return BootWhenComplete();
  supervisor_->OnExited(key, exit);
  launcher_.OnGone(key);
}

void Agent::OnProxyStarted(pid_t pid, uint64_t incarnation, UniqueFd channel) {
  proxy_pid_ = pid;
  if (absl::Status connected = proxy_.Connect(std::move(channel));
      !connected.ok()) {
    log::Error("connect to the proxy: %s", connected.ToString());
    return;
  }
  log::Debug("proxy %d started, pid %d", incarnation, pid);
  if (booted_) IntroduceToProxy();
}

void Agent::IntroduceToProxy() {
  if (!proxy_.connected()) return;
  proxy_.SendCounters(counters_->fd(), counters_->slots());
  SendRoutes();
  for (const auto& [name, record] : records_) Announce(record);
  launcher_.AttachWaiting();
}

void Agent::OnProxyGone(const absl::Status& reason) {
  if (shutting_down_) return;
  log::Warning("the proxy has gone (%s): its workers are started anew",
               reason.message());
  proxy_pid_ = 0;
  proxy_.Disconnect();
  counters_->SettleGauges();
  launcher_.ForgetLinks(
      [this](const InstanceKey& key) { supervisor_->OnLinkLost(key); });
}

void Agent::OnProxyExited(pid_t pid) {
  if (pid == proxy_pid_ && proxy_.connected()) {
    OnProxyGone(absl::UnavailableError("it exited"));
  }
}

void Agent::OnProxyReady(uid_t uid, std::string_view warning) {
  log::Info("the proxy is ready, pid %d, uid %d", proxy_pid_, uid);
  proxy_warning_ = warning;  // It has logged it.
}

supervisor::InstanceKey Agent::KeyOf(const LinkKey& link) {
  const WorkerRecord* record = FindById(records_, link.worker_id);
  return {record == nullptr ? "" : record->config.name, link.instance,
          link.generation};
}

void Agent::OnWorkerHello(const LinkKey& link, std::string_view connector) {
  supervisor_->OnHello(KeyOf(link), connector);
}

void Agent::OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) {
  const InstanceKey key = KeyOf(link);
  if (sessions_left > 0) {
    log::Warning(
        "worker '%s/%d': %d sessions were still open when its drain "
        "ended",
        key.worker, key.instance, sessions_left);
  }
  supervisor_->OnDrained(key);
}

void Agent::OnWorkerLinkLost(const LinkKey& link) {
  supervisor_->OnLinkLost(KeyOf(link));
}

// ---- Observer ----

void Agent::OnStateChanged(const InstanceKey& key,
                           supervisor::InstanceState from,
                           supervisor::InstanceState to,
                           std::string_view reason) {
  log::Info("worker '%s/%d': %s -> %s%s%s", key.worker, key.instance,
            supervisor::Name(from), supervisor::Name(to),
            reason.empty() ? "" : ": ", reason);
}

void Agent::OnKilled(const InstanceKey& key, pid_t pid, absl::Duration waited) {
  std::string who =
      absl::StrFormat("%s/%d (pid %d)", key.worker, key.instance, pid);
  log::Warning("%s did not end within %s of its stop signal: killed", who,
               absl::FormatDuration(waited));
  const auto reported = killed_.find(key.worker);
  if (reported != killed_.end()) reported->second.push_back(std::move(who));
}

}  // namespace apm::agent
