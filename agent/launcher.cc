// Who holds which end of a process's pipes. The worker's own ends go to the
// keeper with the spawn and are closed here at once. Ours go to the keeper
// first, so that a successor finds them if the process is there; then to the
// log thread and to WorkerLinks.

#include "agent/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/definition_hash.h"
#include "agent/kept_names.h"
#include "agent/pipe.h"
#include "agent/program_path.h"
#include "agent/spawn_failure.h"
#include "agent/worker_environment.h"
#include "base/log/log.h"
#include "base/os/errno_status.h"
#include "base/os/process_identity.h"
#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

using supervisor::InstanceKey;

// Without it a program that opens /dev/stdout or /proc/self/fd/1 as another
// user gets EACCES.
void GiveTo(const Identity& identity, const UniqueFd& fd) {
  if (fchown(fd.get(), identity.uid, identity.gid) != 0) {
    log::Debug("give a pipe to uid %d: %s", identity.uid, ErrnoText(errno));
  }
}

int ErrnoOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return ENOENT;
    case absl::StatusCode::kPermissionDenied:
      return EACCES;
    case absl::StatusCode::kInvalidArgument:
      return EISDIR;
    default:
      return EIO;
  }
}

}  // namespace

// ---- Start ----

void Launcher::Launch(const InstanceKey& key) {
  const absl::Status launched = TryLaunch(key);
  if (launched.ok()) return;
  // The supervisor is calling: it hears of the failure in a later turn.
  parts_.loop.Post([this, key, error = ErrnoOf(launched),
                    text = std::string(launched.message())] {
    parts_.on_failure(key, "exec", error, text);
  });
}

absl::Status Launcher::TryLaunch(const InstanceKey& key) {
  const auto found = parts_.records.find(key.worker);
  if (found == parts_.records.end()) {
    return absl::NotFoundError("the worker has just been deleted");
  }
  const WorkerRecord& record = found->second;
  const config::WorkerConfig& config = record.config();
  APM_ASSIGN_OR_RETURN(std::string executable,
                       FindProgram(config.exec, config.path,
                                   SearchPath(parts_.environment, config)));
  const ExecRequest request = RequestFor(key, record, std::move(executable));

  Pipe input;
  if (record.pipe_mode()) {
    APM_ASSIGN_OR_RETURN(input, CreatePipe());
  } else {
    input.read_end.Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!input.read_end) return ErrnoStatus(errno, "open '/dev/null'");
  }
  APM_ASSIGN_OR_RETURN(Pipe output, CreatePipe());
  APM_ASSIGN_OR_RETURN(Pipe errors, CreatePipe());
  if (record.run_as.change_user) {
    GiveTo(record.run_as.identity, input.read_end);
    GiveTo(record.run_as.identity, output.write_end);
    GiveTo(record.run_as.identity, errors.write_end);
  }

  if (record.pipe_mode()) Keep(PipeEnd::kStdin, key, input.write_end);
  Keep(PipeEnd::kStdout, key, output.read_end);
  Keep(PipeEnd::kStderr, key, errors.read_end);
  parts_.notes.SetLaunch(key, DefinitionHash(config, record.run_as));
  const int stdio[3] = {input.read_end.get(), output.write_end.get(),
                        errors.write_end.get()};
  if (absl::Status sent = parts_.keeper.Spawn(key, request, stdio);
      !sent.ok()) {
    DropKept(key);
    return sent;
  }

  processes_[key] = {};
  parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kErr,
                        std::move(errors.read_end));
  if (record.pipe_mode()) {
    parts_.links.Add(key, record.id, std::move(input.write_end),
                     std::move(output.read_end));
  } else {
    parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kOut,
                          std::move(output.read_end));
  }
  return absl::OkStatus();
}

ExecRequest Launcher::RequestFor(const InstanceKey& key,
                                 const WorkerRecord& record,
                                 std::string executable) const {
  const config::WorkerConfig& config = record.config();
  const Identity& identity = record.run_as.identity;
  ExecRequest request;
  request.executable = std::move(executable);
  request.argv.push_back(config.exec);
  request.argv.insert(request.argv.end(), config.params.begin(),
                      config.params.end());
  request.env = BuildEnvironment(
      parts_.environment, config, identity, key.instance,
      record.desired.instance_ids[key.instance], key.generation);
  request.cwd = config.path;
  request.change_user = record.run_as.change_user;
  request.uid = identity.uid;
  request.gid = identity.gid;
  request.groups = identity.groups;
  return request;
}

void Launcher::Keep(PipeEnd end, const InstanceKey& key, const UniqueFd& fd) {
  parts_.keeper.PutFd(PipeName(end, key), fd.get());
}

void Launcher::DropKept(const InstanceKey& key) {
  for (const PipeEnd end : kPipeEnds) {
    parts_.keeper.DropFd(PipeName(end, key));
  }
  parts_.notes.Drop(key);
}

void Launcher::Adopt(InheritedProcess inherited, bool ready) {
  const InstanceKey& key = inherited.process.key;
  const WorkerRecord& record = parts_.records.find(key.worker)->second;
  processes_[key] = {inherited.process.pid, inherited.process.start_ticks};
  if (inherited.note) parts_.notes.Adopt(key, *std::move(inherited.note));
  auto& pipes = inherited.pipes;
  const auto collect = [&](PipeEnd end, logs::Stream stream) {
    if (!pipes[end]) return;
    parts_.logs.AddStream(key.worker, key.instance, stream,
                          std::move(pipes[end]), logs::Origin::kAdopted);
  };
  collect(PipeEnd::kStderr, logs::Stream::kErr);
  if (!record.pipe_mode()) return collect(PipeEnd::kStdout, logs::Stream::kOut);
  collect(PipeEnd::kStray, logs::Stream::kOut);
  // One that is on its way through apm-exec is attached when it is spawned.
  if (inherited.process.starting) {
    parts_.links.Add(key, record.id, std::move(pipes[PipeEnd::kStdin]),
                     std::move(pipes[PipeEnd::kStdout]));
  } else {
    parts_.links.Adopt(key, record.id, std::move(pipes[PipeEnd::kStdin]),
                       std::move(pipes[PipeEnd::kStdout]), ready);
  }
}

// ---- Life ----

void Launcher::Signal(const InstanceKey& key, int signal) {
  parts_.keeper.Signal(key, signal, /*to_group=*/true);
}

void Launcher::Remember(const InstanceKey& key,
                        const supervisor::ProcessMemo& memo) {
  parts_.notes.SetMemo(key, supervisor::Encode(memo));
}

void Launcher::Remember(std::string_view worker, uint32_t instance,
                        const supervisor::InstanceMemo& memo) {
  parts_.notes.SetInstanceMemo({std::string(worker), instance},
                               supervisor::Encode(memo));
}

void Launcher::OnSpawned(const InstanceKey& key, pid_t pid,
                         uint64_t start_ticks) {
  if (const auto process = processes_.find(key); process != processes_.end()) {
    process->second = {pid, start_ticks};
  }
}

// ---- End ----

void Launcher::OnSpawnFailed(const InstanceKey& key) {
  DropKept(key);
  parts_.links.Forget(key);
  processes_.erase(key);
}

void Launcher::Sweep(const InstanceKey& key) {
  // First the group, whose number the keeper still holds for us.
  parts_.keeper.Signal(key, SIGKILL, /*to_group=*/true);
  parts_.sweeper.Add(key, Pid(key));
}

void Launcher::Close(const InstanceKey& key) {
  parts_.keeper.AckExit(key);
  DropKept(key);
  parts_.links.Forget(key);
  processes_.erase(key);
}

void Launcher::KillAll() const {
  for (const auto& [key, process] : processes_) {
    // Without a keeper there is nobody who holds the pid for us.
    if (process.pid == 0 ||
        ProcessStartTicks(process.pid).value_or(0) != process.start_ticks) {
      continue;
    }
    if (kill(-process.pid, SIGKILL) != 0 && errno != ESRCH) {
      log::Warning("worker '%s/%d': kill pid %d: %s", key.worker, key.instance,
                   process.pid, ErrnoText(errno));
    }
  }
}

pid_t Launcher::Pid(const InstanceKey& key) const {
  const auto process = processes_.find(key);
  return process == processes_.end() ? 0 : process->second.pid;
}

uint64_t Launcher::StartTicks(const InstanceKey& key) const {
  const auto process = processes_.find(key);
  return process == processes_.end() ? 0 : process->second.start_ticks;
}

std::string Launcher::DescribeFailure(const InstanceKey& key,
                                      std::string_view step, int error,
                                      std::string_view detail) const {
  const auto found = parts_.records.find(key.worker);
  if (found == parts_.records.end()) {
    return DescribeSpawnFailure(nullptr, "", step, error, detail);
  }
  return DescribeSpawnFailure(
      &found->second, SearchPath(parts_.environment, found->second.config()),
      step, error, detail);
}

}  // namespace apm::agent
