#include "agent/agent.h"

#include <signal.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "agent/process_sweep.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"

namespace apm::agent {

using supervisor::InstanceState;

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(EventLoop& loop,
                                                     UniqueFd keeper_channel,
                                                     Setup setup) {
  APM_ASSIGN_OR_RETURN(auto logs, logs::LogStore::Create(setup.log_dir));
  APM_ASSIGN_OR_RETURN(auto background_loop, EventLoop::Create());
  control::ControlOptions control{setup.socket, setup.daemon_user.uid,
                                  setup.allow_groups};
  std::unique_ptr<Agent> agent(new Agent(loop, std::move(keeper_channel),
                                         std::move(setup), std::move(logs),
                                         std::move(background_loop)));
  Agent* self = agent.get();
  APM_ASSIGN_OR_RETURN(
      agent->store_,
      store::Store::Create(
          {.path = absl::StrCat(agent->setup_.state_dir, "/state.db"),
           .on_durability_changed =
               [self](bool durable, const std::string& reason) {
                 self->OnDurabilityChanged(durable, reason);
               }},
          loop));
  // Binds now, serves after the boot: a client that connects in between waits
  // and finds its workers.
  APM_ASSIGN_OR_RETURN(agent->control_, control::ControlServer::Create(
                                            loop, *agent, std::move(control)));
  APM_RETURN_IF_ERROR(agent->keeper_.Start());
  return agent;
}

Agent::Agent(EventLoop& loop, UniqueFd keeper_channel, Setup setup,
             std::unique_ptr<logs::LogStore> logs,
             std::unique_ptr<EventLoop> background_loop)
    : loop_(loop),
      setup_(std::move(setup)),
      started_(absl::Now()),
      logs_(std::move(logs)),
      keeper_(loop, std::move(keeper_channel), *this),
      proxy_(loop, *this),
      notes_(keeper_),
      listeners_(keeper_, proxy_),
      links_(
          {loop, keeper_, proxy_, *logs_, notes_,
           [this](const InstanceKey& key) { supervisor_->OnLinkLost(key); },
           [this](const InstanceKey& key) { supervisor_->OnLinkTorn(key); }}),
      sweeper_(loop, background_,
               [this](const InstanceKey& key,
                      const std::vector<supervisor::Survivor>& survivors) {
                 OnSwept(key, survivors);
               }),
      launcher_({loop, keeper_, *logs_, records_, notes_, links_, sweeper_,
                 setup_.environment,
                 [this](const InstanceKey& key, std::string_view step,
                        int error, std::string_view text) {
                   supervisor_->OnSpawnFailed(key, step, error, text);
                 }}),
      background_(std::move(background_loop)) {}

Agent::~Agent() = default;

// ---- The keeper says ----

void Agent::OnSpawned(const InstanceKey& key, pid_t pid, uint64_t start_ticks) {
  if (!booted_) {
    early_events_.push_back(
        [this, key, pid, start_ticks] { OnSpawned(key, pid, start_ticks); });
    return;
  }
  launcher_.OnSpawned(key, pid, start_ticks);
  supervisor_->OnSpawned(key, pid);
}

void Agent::OnSpawnFailed(const InstanceKey& key, std::string_view step,
                          int error, std::string_view detail) {
  if (!booted_) {
    early_events_.push_back([this, key, step = std::string(step), error,
                             detail = std::string(detail)] {
      OnSpawnFailed(key, step, error, detail);
    });
    return;
  }
  const std::string text = launcher_.DescribeFailure(key, step, error, detail);
  supervisor_->OnSpawnFailed(key, step, error, text);
  launcher_.OnSpawnFailed(key);
}

void Agent::OnExited(const InstanceKey& key, const ProcessExit& exit) {
  if (!booted_) {
    early_events_.push_back([this, key, exit] { OnExited(key, exit); });
    return;
  }
  exits_.insert_or_assign(key, exit);
  judged_ = {key, exit};
  event_writer_->OnExited(key);
  supervisor_->OnExited(key, exit);
  judged_.reset();
}

void Agent::OnSwept(const InstanceKey& key,
                    const std::vector<supervisor::Survivor>& survivors) {
  // First the supervisor, which may note what follows from it: once the exit
  // is acknowledged nobody is told of it again.
  if (const auto exit = exits_.extract(key); !exit.empty()) {
    judged_ = {key, exit.mapped(), /*swept=*/true};
  }
  supervisor_->OnSwept(key, survivors);
  judged_.reset();
  launcher_.Close(key);
}

void Agent::OnProxyStarted(pid_t pid, uint64_t incarnation, UniqueFd channel) {
  proxy_pid_ = pid;
  proxy_incarnation_ = incarnation;
  if (absl::Status connected = proxy_.Connect(std::move(channel));
      !connected.ok()) {
    log::Error("connect to the proxy: %s", connected.ToString());
    return;
  }
  log::Debug("proxy %d started, pid %d", incarnation, pid);
  if (booted_) IntroduceToProxy();
}

void Agent::OnProxyExited(const ProxyExit& exit) {
  if (exit.incarnation != proxy_incarnation_) return;
  proxy_pid_ = 0;
  proxy_.Disconnect();
  if (!booted_ || shutting_down_) return;
  counters_->SettleGauges();
  event_writer_->Say(
      events::type::kProxyExited, events::Severity::kError, "",
      absl::StrFormat(
          "the proxy (pid %d) %s: its connections are lost, workers and "
          "listeners stay; the next one starts %s",
          exit.pid,
          exit.signal != 0
              ? absl::StrFormat("was killed by signal %d", exit.signal)
              : absl::StrFormat("exited with status %d", exit.code),
          exit.restart_in == absl::ZeroDuration()
              ? "now"
              : absl::StrCat("in ", absl::FormatDuration(exit.restart_in))));
}

void Agent::OnShutdownRequested() {
  if (!booted_) {
    early_events_.push_back([this] { OnShutdownRequested(); });
    return;
  }
  Shutdown([](const absl::StatusOr<ShutdownReport>&) {});
}

void Agent::OnReexeced(const ReexecReport& report) {
  if (!booted_) return;
  absl::StatusOr<UpgradeReport> answer = UpgradeReport{
      report.version, keeper_pid_, report.processes, report.descriptors};
  if (report.error.empty()) {
    event_writer_->Say(
        events::type::kKeeperReplaced, events::Severity::kInfo, "",
        absl::StrFormat("the keeper runs version %s now; %d processes and %d "
                        "descriptors were kept",
                        report.version, report.processes, report.descriptors));
  } else {
    answer = absl::FailedPreconditionError(absl::StrCat(
        "the keeper goes on with the program it has: ", report.error));
  }
  for (const auto& done : std::exchange(upgrades_, {})) done(answer);
}

void Agent::OnKeeperGone(const absl::Status& reason) {
  log::Error("the keeper has gone (%s): ending, and the workers with us",
             reason.message());
  // The next keeper starts them: whoever goes on now would run twice.
  launcher_.KillAll();
  if (desired_) SweepDaemon(desired_->daemon_id);
  exit_code_ = 1;
  control_->Stop(absl::ZeroDuration());
  loop_.Stop();
}

void Agent::EndProcess(int exit_code) {
  exit_code_ = exit_code;
  control_->Stop(absl::Seconds(1));
  if (exit_code == 0) {
    // The keeper answers with SIGTERM, too early for us: we end by ourselves
    // when the workers' last lines and the state are written.
    signal(SIGTERM, SIG_IGN);
    keeper_.Shutdown();
  }
  loop_.Stop();
}

// ---- The proxy says ----

void Agent::OnProxyReady(uid_t uid, std::string_view warning) {
  proxy_warning_ = warning;  // It has logged it.
  const std::string text =
      absl::StrFormat("the proxy is ready, pid %d, uid %d", proxy_pid_, uid);
  if (!booted_) {
    log::Info("%s", text);
    return;
  }
  event_writer_->Say(events::type::kProxyStarted, events::Severity::kInfo, "",
                     text);
}

void Agent::OnProxyGone(const absl::Status& reason) {
  if (shutting_down_) return;
  // What becomes of its links is seen when the keeper has reaped it: until
  // then it may still be at them.
  log::Warning("the channel to the proxy is closed: %s", reason.message());
  proxy_.Disconnect();
}

supervisor::InstanceKey Agent::KeyOf(const LinkKey& link) {
  const WorkerRecord* record = FindById(records_, link.worker_id);
  return {record == nullptr ? "" : record->name(), link.instance,
          link.generation};
}

void Agent::OnWorkerHello(const LinkKey& link, const WorkerTraits& traits) {
  const InstanceKey key = KeyOf(link);
  notes_.SetTraits(key, traits);
  supervisor_->OnHello(key, traits.connector);
}

void Agent::OnWorkerDrained(const LinkKey& link, uint32_t sessions_left) {
  const InstanceKey key = KeyOf(link);
  if (sessions_left > 0) {
    log::Warning(
        "worker '%s/%d': %d sessions were still open when its drain ended",
        key.worker, key.instance, sessions_left);
  }
  supervisor_->OnDrained(key);
}

void Agent::OnWorkerLinkLost(const LinkKey& link) {
  supervisor_->OnLinkLost(KeyOf(link));
}

// ---- The supervisor says ----

void Agent::OnStateChanged(const InstanceKey& key, InstanceState from,
                           InstanceState to, std::string_view reason) {
  const bool told_to_end = from == InstanceState::kStopping;
  // Of a process that is replaced at once `key` is the next one.
  const bool ended = judged_ && judged_->swept == told_to_end &&
                     judged_->key.worker == key.worker &&
                     judged_->key.instance == key.instance &&
                     (!told_to_end || judged_->key == key);
  const InstanceKey& who = ended ? judged_->key : key;
  event_writer_->OnStateChange(
      {.key = who,
       .from = from,
       .to = to,
       .reason = reason,
       .pid = launcher_.Pid(who),
       .exit = ended ? &judged_->exit : nullptr,
       .crash = ended && !told_to_end && to != InstanceState::kExited});
}

void Agent::OnKilled(const InstanceKey& key, pid_t pid, absl::Duration waited) {
  std::string who =
      absl::StrFormat("%s/%d (pid %d)", key.worker, key.instance, pid);
  event_writer_->Say(
      events::type::kWorkerSurvivors, events::Severity::kWarning, key.worker,
      absl::StrFormat("%s did not end within %s of its stop signal: killed",
                      who, absl::FormatDuration(waited)));
  const auto reported = killed_.find(key.worker);
  if (reported != killed_.end()) reported->second.push_back(std::move(who));
}

void Agent::OnSurvivors(const InstanceKey& key,
                        std::span<const supervisor::Survivor> survivors) {
  const std::string names = absl::StrJoin(
      survivors, ", ", [](std::string* out, const supervisor::Survivor& one) {
        absl::StrAppendFormat(out, "pid %d '%s' which %s", one.pid, one.command,
                              one.why);
      });
  event_writer_->Say(
      events::type::kWorkerSurvivors, events::Severity::kWarning, key.worker,
      absl::StrFormat("%s/%d left processes behind, which were killed: %s",
                      key.worker, key.instance, names));
  const auto reported = killed_.find(key.worker);
  if (reported == killed_.end()) return;
  for (const supervisor::Survivor& survivor : survivors) {
    reported->second.push_back(absl::StrFormat("%s/%d (pid %d, %s)", key.worker,
                                               key.instance, survivor.pid,
                                               survivor.command));
  }
}

void Agent::OnInstanceRemoved(std::string_view worker, uint32_t instance) {
  notes_.DropInstanceMemo({std::string(worker), instance});
}

}  // namespace apm::agent
