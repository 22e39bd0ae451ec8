// From the first word of the keeper to the first answer to a client. One path
// for the first start, a start after a crash, and one after an upgrade:
//
//   OnWelcome          what the keeper has; ask it for the descriptors
//   OnStoredFd...      until they are here, and the store has been read
//   Boot               shared memory, workers, the processes that run already
//   Converge           start, stop and delete what is not as it should be
//
// The first boot of a daemon takes the workers of the configuration from the
// files, a later one takes them from the store: a crash must not apply a file
// that somebody is editing. It is the first until the keeper has a note that
// one is complete, and everything of it stored.

#include <cstddef>
#include <cstdint>
#include <map>
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

#include "agent/agent.h"
#include "agent/definition_hash.h"
#include "agent/process_sweep.h"
#include "base/log/log.h"
#include "base/status/status_macros.h"
#include "base/version.h"

namespace apm::agent {
namespace {

// Each incarnation of the agent gets generations of its own.
constexpr uint64_t kGenerationsPerIncarnation = uint64_t{1} << 32;

// How long the boot waits for the keeper, the store and a sweep, all of them
// on this host.
constexpr absl::Duration kBootPatience = absl::Seconds(20);

std::function<double()> UniformRandom() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

// Never 0, and another one at each call.
uint64_t FreshEpoch() {
  return static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
}

}  // namespace

void Agent::OnWelcome(Welcome welcome) {
  keeper_pid_ = welcome.keeper;
  incarnation_ = welcome.agent_incarnation;
  inheritance_ = Inheritance(welcome);
  first_boot_ = inheritance_.daemon_note().empty();
  for (const std::string& name : inheritance_.wanted()) keeper_.FetchFd(name);
  for (const std::string& name : inheritance_.stale_fds()) keeper_.DropFd(name);
  for (const std::string& name : inheritance_.stale_notes()) {
    keeper_.DropState(name);
  }
  boot_timer_ = loop_.RunAfter(kBootPatience, [this] {
    log::Error("the boot waits for %s since %s: ending, to try again",
               !desired_                  ? "the state store"
               : !inheritance_.complete() ? "the keeper's descriptors"
                                          : "processes that have to be killed",
               absl::FormatDuration(kBootPatience));
    EndProcess(1);
  });
  store_->Load([this](absl::StatusOr<store::DesiredState> state) {
    OnDesiredState(std::move(state));
  });
}

void Agent::OnDesiredState(absl::StatusOr<store::DesiredState> state) {
  if (!state.ok()) {
    // With processes that nobody wants to know of a guess is worse than a
    // pause: they run on, and the keeper tries again.
    if (absl::IsFailedPrecondition(state.status()) || !first_boot_) {
      log::Error("%s", state.status().message());
      return EndProcess(absl::IsFailedPrecondition(state.status()) ? kExitConfig
                                                                   : 1);
    }
    OnDurabilityChanged(false, std::string(state.status().message()));
    state = store::DesiredState{};
    state->created = true;
    state->daemon_id = absl::StrFormat("%016x", FreshEpoch());
  }
  for (const std::string& warning : state->warnings) {
    log::Error("%s", warning);
    setup_.warnings.push_back(warning);
  }
  next_instance_id_ = state->next_instance_id;
  desired_ = *std::move(state);
  if (!first_boot_ || !inheritance_.processes().empty()) {
    swept_ = true;
    return BootWhenComplete();
  }
  // A daemon that was killed with its keeper may have left processes: their
  // pipes are gone, and new ones are about to be started.
  background_.Post([this, daemon_id = desired_->daemon_id] {
    SweepReport report = SweepDaemon(daemon_id);
    loop_.Post([this, report = std::move(report)] {
      for (const SweepReport::Killed& killed : report.killed) {
        log::Warning("pid %d '%s' was left by an earlier daemon (%s): killed",
                     killed.who.pid, killed.who.command, killed.tag);
      }
      swept_ = true;
      BootWhenComplete();
    });
  });
}

void Agent::OnStoredFd(std::string_view name, UniqueFd fd) {
  inheritance_.Add(name, std::move(fd));
  BootWhenComplete();
}

void Agent::BootWhenComplete() {
  if (booted_ || shutting_down_) return;
  if (!desired_ || !swept_ || !inheritance_.complete()) return;
  loop_.Cancel(boot_timer_);
  Boot();
}

void Agent::Boot() {
  const bool stops = inheritance_.daemon_note() == kDaemonStops;
  supervisor_ =
      std::make_unique<supervisor::Supervisor>(supervisor::Supervisor::Options{
          .timers = loop_,
          .clock = clock_,
          .processes = launcher_,
          .traffic = links_,
          .observer = *this,
          .random = UniformRandom(),
          .first_generation = incarnation_ * kGenerationsPerIncarnation + 1});
  launcher_.SetDaemonId(desired_->daemon_id);
  sweeper_.SetDaemonId(desired_->daemon_id);
  if (absl::Status taken = TakeSharedMemory(); !taken.ok()) {
    log::Error("%s", taken.ToString());
    return EndProcess(1);
  }
  for (auto& [name, fd] : inheritance_.TakeAll(ListenerTable::kStoredPrefix)) {
    listeners_.AddStored(name, std::move(fd));
  }
  std::vector<store::DesiredWorker> workers = ChooseWorkers();
  for (store::DesiredWorker& worker : workers) BootWorker(std::move(worker));
  AdoptProcesses();
  std::vector<uint32_t> owners;
  for (const auto& [name, record] : records_) owners.push_back(record.id);
  counters_->ReturnAllBut(owners);
  booted_ = true;
  IntroduceToProxy();
  listeners_.DropUnclaimed();
  if (!stops) Converge();
  if (absl::Status started = control_->Start(); !started.ok()) {
    log::Error("serve the control API: %s", started.ToString());
    return EndProcess(1);
  }
  for (const auto& event : std::exchange(early_events_, {})) event();
  event_writer_->Say(
      events::type::kAgentStarted, events::Severity::kInfo, "",
      absl::StrFormat(
          "apm %s is ready on '%s' with %d workers%s", kVersion, setup_.socket,
          records_.size(),
          incarnation_ == 1
              ? ""
              : absl::StrFormat("; agent %d of this daemon", incarnation_)));
  // The agent before us was told to end everything, and did not get there.
  if (stops) OnShutdownRequested();
}

absl::Status Agent::TakeSharedMemory() {
  UniqueFd links = inheritance_.Take(kLinkRecordsName);
  UniqueFd sessions = inheritance_.Take(kSessionRecordsName);
  auto board = LinkBoard::Adopt(std::move(links), std::move(sessions));
  const bool nothing_known = !board.ok();
  if (nothing_known) {
    APM_ASSIGN_OR_RETURN(board, LinkBoard::Create());
    keeper_.PutFd(kLinkRecordsName, (*board)->links_fd());
    keeper_.PutFd(kSessionRecordsName, (*board)->sessions_fd());
  }
  links_.UseBoard(*std::move(board), nothing_known);

  auto counters = CounterBoard::Adopt(inheritance_.Take(kCountersName));
  if (!counters.ok()) {
    APM_ASSIGN_OR_RETURN(counters,
                         CounterBoard::Create(proxy::kMaxCounterSlots));
    keeper_.PutFd(kCountersName, (*counters)->fd());
  }
  counters_ = *std::move(counters);

  auto ring =
      events::EventRing::Adopt(inheritance_.Take(kEventsName), FreshEpoch());
  if (!ring.ok()) {
    APM_ASSIGN_OR_RETURN(ring, events::EventRing::Create(FreshEpoch()));
    keeper_.PutFd(kEventsName, (*ring)->fd());
  }
  events_ = std::make_unique<events::EventLog>(*std::move(ring));
  event_writer_ = std::make_unique<EventWriter>(loop_, *logs_, *events_);
  return absl::OkStatus();
}

// ---- Workers ----

std::vector<store::DesiredWorker> Agent::ChooseWorkers() {
  const bool from_files = first_boot_ || desired_->created;
  std::map<std::string, store::DesiredWorker, std::less<>> stored;
  std::vector<store::DesiredWorker> chosen;
  std::vector<store::DesiredWorker> changed;
  std::vector<std::string> erased;
  for (store::DesiredWorker& worker : desired_->workers) {
    if (!from_files) {
      chosen.push_back(std::move(worker));
    } else {
      stored.emplace(worker.name, std::move(worker));
    }
  }
  desired_->workers.clear();
  if (!from_files) return chosen;

  for (const config::WorkerConfig& config : setup_.config.workers) {
    store::DesiredWorker worker;
    if (auto known = stored.extract(config.name); !known.empty()) {
      worker = std::move(known.mapped());
      if (worker.source == store::Source::kApi) {
        setup_.warnings.push_back(absl::StrFormat(
            "worker '%s' was made by command and is in '%s' too: the file wins",
            config.name, config.source.file));
        log::Warning("%s", setup_.warnings.back());
        worker = {};
      }
    }
    worker.name = config.name;
    worker.source = store::Source::kConfig;
    const bool same = worker.definition == config;
    worker.definition = config;
    AssignInstanceIds(worker);
    if (!same) changed.push_back(worker);
    chosen.push_back(std::move(worker));
  }
  for (auto& [name, worker] : stored) {
    if (worker.source == store::Source::kApi) {
      chosen.push_back(std::move(worker));
    } else if (!IsDisabled(name)) {
      erased.push_back(name);  // Gone from the files while we were down.
    }
  }
  Save(std::move(changed), std::move(erased),
       [this](const absl::Status& written) {
         if (written.ok()) CompleteFirstBoot();
       });
  return chosen;
}

// From now on the store says what is wanted.
void Agent::CompleteFirstBoot() {
  if (!std::exchange(first_boot_, false) || shutting_down_) return;
  keeper_.PutState(kDaemonNoteName, kDaemonRuns);
}

bool Agent::IsDisabled(std::string_view name) const {
  for (const config::DisabledWorker& worker : setup_.config.disabled) {
    if (worker.name == name) return true;
  }
  return false;
}

void Agent::BootWorker(store::DesiredWorker desired) {
  const std::string name = desired.name;
  bool has_processes = false;
  for (const InheritedProcess& inherited : inheritance_.processes()) {
    has_processes |= inherited.process.key.worker == name;
  }
  if (desired.deleting && !has_processes) {
    if (desired.source == store::Source::kConfig) {
      deleted_.insert_or_assign(name, std::move(desired));
    } else {
      Save({}, {name}, [](const absl::Status&) {});
    }
    return;
  }
  absl::StatusOr<RunAs> run_as = RunAsOf(desired);
  absl::StatusOr<WorkerRecord*> admitted =
      run_as.ok() ? Admit(std::move(desired), *std::move(run_as),
                          /*keep_when_bind_fails=*/true)
                  : absl::StatusOr<WorkerRecord*>(run_as.status());
  if (!admitted.ok()) {
    setup_.warnings.push_back(absl::StrFormat(
        "worker '%s' is disabled: %s", name, admitted.status().message()));
    log::Error("%s", setup_.warnings.back());
  } else if (!(*admitted)->bind_error.empty()) {
    log::Error("worker '%s' is not started: %s", name, (*admitted)->bind_error);
  }
}

void Agent::AdoptProcesses() {
  for (const auto& [place, bytes] : inheritance_.instance_memos()) {
    const auto memo = supervisor::DecodeInstanceMemo(bytes);
    if (!memo ||
        !supervisor_->Restore(place.worker, place.instance, *memo).ok()) {
      notes_.DropInstanceMemo(place);
    }
  }
  for (InheritedProcess& inherited : inheritance_.processes()) {
    const InstanceKey key = inherited.process.key;
    supervisor::AdoptedProcess adopted{
        key, inherited.process.pid, inherited.process.started, {}};
    if (inherited.process.starting) adopted.pid = 0;
    if (inherited.note) {
      adopted.memo = supervisor::DecodeProcessMemo(inherited.note->memo);
    }
    const bool known = records_.contains(key.worker);
    const bool ready =
        adopted.memo &&
        adopted.memo->phase == supervisor::ProcessMemo::Phase::kReady;
    if (known) launcher_.Adopt(std::move(inherited), ready);
    if (known && supervisor_->Adopt(adopted).ok()) continue;
    log::Warning("worker '%s/%d': pid %d belongs to no worker: ended",
                 key.worker, key.instance, adopted.pid);
    keeper_.Signal(key, SIGKILL, /*to_group=*/true);
  }
  links_.EndAdoption();
  inheritance_ = Inheritance();
}

void Agent::Converge() {
  const auto logged = [](const absl::Status&) {};  // By the state changes.
  std::vector<std::string> deleting;
  for (auto& [name, record] : records_) {
    if (record.desired.deleting) {
      deleting.push_back(name);
      continue;
    }
    for (uint32_t i = 0; i < record.instances(); ++i) {
      if (!record.should_run(i)) {
        supervisor_->Stop({name, i}, logged);
      } else if (record.bind_error.empty()) {
        // Of a worker that has just been added it cannot fail.
        (void)supervisor_->Resume({name, i});
        if (IsOutdated(record, i)) supervisor_->Reload({name, i}, logged);
      }
    }
  }
  for (const std::string& name : deleting) Remove(name, logged);
}

// Whether an apply that was cut short has left an old process.
bool Agent::IsOutdated(const WorkerRecord& record, uint32_t instance) const {
  const auto snapshot = supervisor_->Find(record.name());
  if (!snapshot || instance >= snapshot->instances.size()) return false;
  const supervisor::InstanceSnapshot& one = snapshot->instances[instance];
  if (one.pid == 0) return false;
  const ProcessNote* note =
      notes_.Find({record.name(), instance, one.generation});
  return note != nullptr && note->definition != 0 &&
         note->definition != DefinitionHash(record.config(), record.run_as);
}

}  // namespace apm::agent
