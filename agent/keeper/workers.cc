// The failure pipe: apm-exec holds its write end, close-on-exec. End of file
// without a byte means that the program has been executed; else one packet, a
// serialized SpawnFailed, says which step failed. The pipe is watched in the
// loop, so that a step that blocks (a dead NFS server) blocks one worker only.

#include "agent/keeper/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "agent/keeper/child.h"
#include "agent/keeper/exec_protocol.h"
#include "agent/keeper/fd_room.h"
#include "base/os/process_identity.h"
#include "base/os/sealed_memfd.h"
#include "base/status/status_macros.h"

namespace apm::keeper {
namespace {

namespace pb = ::apm::internal::v1;

constexpr size_t kStdioFds = 3;
// So that a list of all processes fits in a message.
constexpr size_t kMaxNameBytes = 256;

// PIDFD_SIGNAL_PROCESS_GROUP, which Debian 12's headers do not have.
constexpr unsigned kProcessGroup = 1U << 2;

uint64_t Microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<uint64_t>(time.tv_usec);
}

pb::Exited MakeExited(const ProcessKey& key, pid_t pid, int wait_status,
                      const rusage& usage) {
  pb::Exited exited;
  *exited.mutable_key() = key.ToProto();
  exited.set_pid(pid);
  exited.set_signaled(WIFSIGNALED(wait_status));
  exited.set_status(WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
                                             : WEXITSTATUS(wait_status));
  exited.set_core_dumped(WIFSIGNALED(wait_status) && WCOREDUMP(wait_status));
  exited.set_user_us(Microseconds(usage.ru_utime));
  exited.set_system_us(Microseconds(usage.ru_stime));
  exited.set_max_rss_kb(static_cast<uint64_t>(usage.ru_maxrss));
  exited.set_exited_unix_ms(
      static_cast<uint64_t>(absl::ToUnixMillis(absl::Now())));
  return exited;
}

// The group of a process that was reaped lives on while it has members, and
// after them its number is anybody's. Since Linux 6.9 the pidfd names the
// group safely; before, we use the number if the group had members when its
// leader was reaped.
void SignalGroup(const Process& process, int signal) {
  if (syscall(SYS_pidfd_send_signal, process.pidfd.get(), signal, nullptr,
              kProcessGroup) == 0) {
    return;
  }
  const bool reaped = process.state == Process::State::kExited;
  if (errno != ESRCH && (!reaped || process.left_group)) {
    if (kill(-process.pid, signal) == 0) return;
  }
  // apm-exec before setsid(): there is no group yet.
  if (!reaped) kill(process.pid, signal);
}

}  // namespace

Workers::Workers(EventLoop& loop, std::string exec_path, Reply reply)
    : loop_(loop), exec_path_(std::move(exec_path)), reply_(std::move(reply)) {}

Workers::~Workers() {
  table_.ForEach([this](const ProcessKey&, const Process& process) {
    loop_.Remove(process.failure_pipe.get());
  });
}

void Workers::Spawn(const pb::Spawn& request, std::span<const UniqueFd> stdio) {
  const ProcessKey key = ProcessKey::From(request.key());
  if (const Process* known = table_.Find(key)) {
    if (known->state == Process::State::kStarting) return;
    SaySpawned(key, *known);
    if (known->state == Process::State::kExited) SayExited(*known);
    return;
  }
  if (stdio.size() != kStdioFds) {
    SayFailed(key, "stdio", EBADF, "a spawn carries three descriptors");
    return;
  }
  if (key.worker.size() > kMaxNameBytes) {
    SayFailed(key, "fork", ENAMETOOLONG, "name of the worker");
    return;
  }
  if (table_.full()) {
    SayFailed(key, "fork", EAGAIN, "too many processes");
    return;
  }
  std::string detail = exec_path_;
  if (const int error = Start(request.spec(), stdio, key, detail); error != 0) {
    SayFailed(key, "fork", error, detail);
  }
}

// Returns 0 or errno, with what failed in `detail`.
int Workers::Start(const pb::ExecSpec& spec, std::span<const UniqueFd> stdio,
                   const ProcessKey& key, std::string& detail) {
  const absl::StatusOr<UniqueFd> memfd =
      CreateSealedMemfd("apm-exec-spec", spec.SerializeAsString());
  if (!memfd.ok()) {
    detail = std::string(memfd.status().message());
    return EAGAIN;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    detail = "create a pipe";
    return errno;
  }
  Process process;
  process.failure_pipe.Reset(ends[0]);
  const UniqueFd write_end(ends[1]);
  if (!LeavesRoom(ends[1])) {
    detail = "too many open descriptors";
    return EMFILE;
  }
  // Before the start, so that there is nothing to undo after it.
  const int pipe = process.failure_pipe.get();
  if (const absl::Status status = WatchStart(pipe, key); !status.ok()) {
    detail = std::string(status.message());
    return EAGAIN;
  }

  int fds[kExecFds];
  fds[kSpecFd - kFirstExecFd] = memfd->get();
  fds[kFailureFd - kFirstExecFd] = write_end.get();
  for (int i = 0; i < 3; ++i) {
    fds[kStdioFd + i - kFirstExecFd] = stdio[static_cast<size_t>(i)].get();
  }
  const std::string argv[] = {"apm-exec"};
  const Child child = StartChild(exec_path_, argv, fds, /*own_session=*/false);
  if (child.error != 0) {
    loop_.Remove(pipe);
    return child.error;
  }
  process.pid = child.pid;
  // Not a stranger's: the child has not been reaped.
  process.pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)));
  process.start_ticks = ProcessStartTicks(child.pid).value_or(0);
  process.started_unix_ms = absl::ToUnixMillis(absl::Now());
  table_.Add(key, std::move(process));
  return 0;
}

absl::Status Workers::WatchStart(int failure_pipe, const ProcessKey& key) {
  return loop_.Add(failure_pipe, EPOLLIN,
                   [this, key](uint32_t) { ReadFailure(key); });
}

void Workers::ReadFailure(const ProcessKey& key) {
  char buffer[kMaxFailureBytes];
  const ssize_t size =
      read(table_.Find(key)->failure_pipe.get(), buffer, sizeof buffer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  FinishStart(key, {buffer, size > 0 ? static_cast<size_t>(size) : 0});
}

void Workers::FinishStart(const ProcessKey& key, std::string_view failure) {
  Process* process = table_.Find(key);
  loop_.Remove(process->failure_pipe.get());
  if (failure.empty()) {
    table_.SetRunning(key);
    SaySpawned(key, *process);
    return;
  }
  table_.Forget(key);  // apm-exec is ending and is reaped with the strays.
  pb::SpawnFailed failed;
  if (!failed.ParseFromArray(failure.data(),
                             static_cast<int>(failure.size()))) {
    failed.set_step("exec");
    failed.set_error(EPROTO);
  }
  SayFailed(key, failed.step(), failed.error(), failed.detail());
}

void Workers::Signal(const pb::Signal& request) {
  const Process* process = table_.Find(ProcessKey::From(request.key()));
  if (process == nullptr) return;
  if (request.to_group()) {
    SignalGroup(*process, request.signal());
  } else if (process->state != Process::State::kExited) {
    kill(process->pid, request.signal());  // Not reaped: the pid is its own.
  }
}

void Workers::AckExit(const pb::AckExit& request) {
  const ProcessKey key = ProcessKey::From(request.key());
  const Process* process = table_.Find(key);
  if (process != nullptr && process->state == Process::State::kExited) {
    table_.Forget(key);
  }
}

bool Workers::HandleExit(pid_t pid, int wait_status, const rusage& usage) {
  const ProcessKey* found = table_.FindUnreaped(pid);
  if (found == nullptr) return false;
  const ProcessKey key = *found;
  Process* process = table_.Find(key);
  // It may have ended before the loop came to its pipe: that answer is first.
  if (process->state == Process::State::kStarting) {
    ReadFailure(key);
    process = table_.Find(key);
    if (process == nullptr) return true;
    // Another process holds the pipe: the answer will never come.
    if (process->state == Process::State::kStarting) FinishStart(key, "");
  }
  process->left_group = kill(-pid, 0) == 0 || errno == EPERM;
  table_.SetExited(key, MakeExited(key, pid, wait_status, usage));
  SayExited(*process);
  return true;
}

void Workers::List(pb::Welcome& welcome) const {
  table_.ForEach([&](const ProcessKey& key, const Process& process) {
    pb::RunningProcess* running = welcome.add_running();
    *running->mutable_key() = key.ToProto();
    running->set_pid(process.pid);
    running->set_start_ticks(process.start_ticks);
    running->set_started_unix_ms(
        static_cast<uint64_t>(process.started_unix_ms));
    running->set_starting(process.state == Process::State::kStarting);
    running->set_exited(process.state == Process::State::kExited);
  });
}

void Workers::RepeatExits() const {
  table_.ForEach([this](const ProcessKey&, const Process& process) {
    if (process.state == Process::State::kExited) SayExited(process);
  });
}

void Workers::KillAll() const {
  table_.ForEach([](const ProcessKey&, const Process& process) {
    SignalGroup(process, SIGKILL);
  });
}

void Workers::Save(pb::KeeperState& state) const {
  table_.ForEach([&](const ProcessKey& key, const Process& process) {
    pb::KeptProcess* kept = state.add_processes();
    *kept->mutable_key() = key.ToProto();
    kept->set_pid(process.pid);
    kept->set_pidfd(std::max(process.pidfd.get(), 0));
    kept->set_start_ticks(process.start_ticks);
    kept->set_started_unix_ms(process.started_unix_ms);
    kept->set_failure_pipe(std::max(process.failure_pipe.get(), 0));
    kept->set_left_group(process.left_group);
    if (process.state == Process::State::kExited) {
      *kept->mutable_exited() = process.exited;
    }
  });
}

absl::Status Workers::TakeOver(const pb::KeeperState& state) {
  for (const pb::KeptProcess& kept : state.processes()) {
    const ProcessKey key = ProcessKey::From(kept.key());
    Process process;
    process.pid = kept.pid();
    if (kept.pidfd() != 0) process.pidfd.Reset(kept.pidfd());
    process.start_ticks = kept.start_ticks();
    process.started_unix_ms = kept.started_unix_ms();
    process.left_group = kept.left_group();
    if (kept.failure_pipe() != 0) {
      process.failure_pipe.Reset(kept.failure_pipe());
      APM_RETURN_IF_ERROR(WatchStart(kept.failure_pipe(), key));
    }
    table_.Add(key, std::move(process));
    if (kept.has_exited()) {
      table_.SetExited(key, kept.exited());
    } else if (kept.failure_pipe() == 0) {
      table_.SetRunning(key);
    }
  }
  return absl::OkStatus();
}

void Workers::SayFailed(const ProcessKey& key, std::string_view step, int error,
                        std::string_view detail) const {
  pb::FromKeeper message;
  pb::SpawnFailed* failed = message.mutable_spawn_failed();
  *failed->mutable_key() = key.ToProto();
  failed->set_step(std::string(step));
  failed->set_error(error);
  failed->set_detail(std::string(detail));
  reply_(message);
}

void Workers::SaySpawned(const ProcessKey& key, const Process& process) const {
  pb::FromKeeper message;
  pb::Spawned* spawned = message.mutable_spawned();
  *spawned->mutable_key() = key.ToProto();
  spawned->set_pid(process.pid);
  spawned->set_start_ticks(process.start_ticks);
  reply_(message);
}

void Workers::SayExited(const Process& process) const {
  pb::FromKeeper message;
  *message.mutable_exited() = process.exited;
  reply_(message);
}

}  // namespace apm::keeper
