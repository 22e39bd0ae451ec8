// Who holds which end. The worker's own ends go to the keeper with the spawn
// and are closed here at once. Ours go to the proxy when the supervisor says
// Attach, and are closed here as well: so a worker sees the end of its stdin
// when the proxy has gone, and ends by itself.

#include "agent/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/program_path.h"
#include "agent/worker_environment.h"
#include "base/log/log.h"
#include "base/os/errno_status.h"
#include "base/os/process_identity.h"
#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

using supervisor::InstanceKey;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

absl::StatusOr<Pipe> CreatePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "create a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

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

void Launcher::Launch(const InstanceKey& key) {
  const absl::Status launched = TryLaunch(key);
  if (launched.ok()) return;
  processes_.erase(key);
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
  const config::WorkerConfig& config = record.config;

  ExecRequest request;
  APM_ASSIGN_OR_RETURN(request.executable,
                       FindProgram(config.exec, config.path,
                                   SearchPath(parts_.environment, config)));
  request.argv.push_back(config.exec);
  request.argv.insert(request.argv.end(), config.params.begin(),
                      config.params.end());
  request.env = BuildEnvironment(
      parts_.environment, config, record.run_as.identity, key.instance,
      record.instance_ids[key.instance], key.generation);
  request.cwd = config.path;
  request.change_user = record.run_as.change_user;
  request.uid = record.run_as.identity.uid;
  request.gid = record.run_as.identity.gid;
  request.groups = record.run_as.identity.groups;

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

  const int stdio[3] = {input.read_end.get(), output.write_end.get(),
                        errors.write_end.get()};
  APM_RETURN_IF_ERROR(parts_.keeper.Spawn(key, request, stdio));

  Process& process = processes_[key];
  parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kErr,
                        std::move(errors.read_end));
  if (record.pipe_mode()) {
    process.stdin_pipe = std::move(input.write_end);
    process.stdout_pipe = std::move(output.read_end);
  } else {
    parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kOut,
                          std::move(output.read_end));
  }
  return absl::OkStatus();
}

void Launcher::Signal(const InstanceKey& key, int signal) {
  parts_.keeper.Signal(key, signal, /*to_group=*/true);
}

void Launcher::Sweep(const InstanceKey& key) {
  // The supervisor is calling: it hears the answer in a later turn.
  parts_.loop.Post([this, key] { parts_.on_swept(key); });
}

void Launcher::Attach(const InstanceKey& key) {
  const auto process = processes_.find(key);
  if (process == processes_.end()) return;
  process->second.wants_attach = true;
  if (parts_.proxy.connected()) AttachNow(key, process->second);
}

void Launcher::AttachNow(const InstanceKey& key, Process& process) {
  const auto record = parts_.records.find(key.worker);
  if (record == parts_.records.end()) return;  // Deleted, and so ending.
  absl::StatusOr<Pipe> stray = CreatePipe();
  if (!stray.ok()) {
    // Its stdin ends, and it with that; the supervisor tries again.
    log::Error("worker '%s/%d': attach its pipes: %s", key.worker, key.instance,
               stray.status().message());
    process.stdin_pipe.Reset();
    process.stdout_pipe.Reset();
    parts_.loop.Post([this, key] { parts_.on_link_lost(key); });
    return;
  }
  parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kOut,
                        std::move(stray->read_end));
  parts_.proxy.Attach({record->second.id, key.instance, key.generation},
                      process.stdin_pipe.get(), process.stdout_pipe.get(),
                      stray->write_end.get());
  process.stdin_pipe.Reset();
  process.stdout_pipe.Reset();
  process.attached = true;
  if (process.ready) Ready(key);
}

void Launcher::Ready(const InstanceKey& key) {
  const auto record = parts_.records.find(key.worker);
  const auto process = processes_.find(key);
  if (record == parts_.records.end() || process == processes_.end()) return;
  process->second.ready = true;  // Told once it is attached.
  if (!process->second.attached) return;
  parts_.proxy.Ready({record->second.id, key.instance, key.generation});
}

void Launcher::Drain(const InstanceKey& key, supervisor::StopReason reason,
                     absl::Duration deadline) {
  const auto record = parts_.records.find(key.worker);
  if (record == parts_.records.end()) return;
  parts_.proxy.Drain({record->second.id, key.instance, key.generation},
                     reason == supervisor::StopReason::kForGood, deadline);
}

void Launcher::Detach(const InstanceKey& key) {
  const auto record = parts_.records.find(key.worker);
  if (record == parts_.records.end()) return;
  parts_.proxy.Detach({record->second.id, key.instance, key.generation});
}

void Launcher::OnSpawned(const InstanceKey& key, pid_t pid,
                         uint64_t start_ticks) {
  if (const auto process = processes_.find(key); process != processes_.end()) {
    process->second.pid = pid;
    process->second.start_ticks = start_ticks;
  }
}

void Launcher::OnGone(const InstanceKey& key) { processes_.erase(key); }

void Launcher::AttachWaiting() {
  for (auto& [key, process] : processes_) {
    if (process.wants_attach && !process.attached) AttachNow(key, process);
  }
}

void Launcher::ForgetLinks(
    const std::function<void(const InstanceKey&)>& lost) {
  std::vector<InstanceKey> keys;
  for (const auto& [key, process] : processes_) {
    if (process.attached) keys.push_back(key);
  }
  for (const InstanceKey& key : keys) lost(key);
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

uint64_t Launcher::StartTicks(const InstanceKey& key) const {
  const auto process = processes_.find(key);
  return process == processes_.end() ? 0 : process->second.start_ticks;
}

std::string Launcher::DescribeFailure(const InstanceKey& key,
                                      std::string_view step, int error,
                                      std::string_view detail) const {
  const auto found = parts_.records.find(key.worker);
  std::string text =
      detail.empty()
          ? absl::StrFormat("%s: %s", step, ErrnoText(error))
          : absl::StrFormat("%s '%s': %s", step, detail, ErrnoText(error));
  if (found == parts_.records.end()) return text;
  const config::WorkerConfig& config = found->second.config;
  const Identity& identity = found->second.run_as.identity;
  const std::string user = identity.name.empty()
                               ? absl::StrFormat("uid %d", identity.uid)
                               : absl::StrFormat("user '%s'", identity.name);
  if (step == "exec" && error == ENOENT) {
    text += absl::StrFormat(
        "; the file or the interpreter named in its first line does not exist; "
        "looked in PATH=%s",
        SearchPath(parts_.environment, config));
  } else if (step == "exec" && error == EACCES) {
    text += absl::StrFormat(
        "; %s may not execute it: check chmod +x and the folders above it",
        user);
  } else if (step == "exec" && error == ENOEXEC) {
    text +=
        "; it is neither a program for this machine nor a script with a first "
        "line like #!/bin/sh; name its interpreter in 'exec' and the file in "
        "'params'";
  } else if (step == "chdir") {
    text += absl::StrFormat("; create it for %s, or set 'path'", user);
  } else if (step == "user") {
    text += "; only a daemon that runs as root can start workers as others";
  }
  return text;
}

}  // namespace apm::agent
