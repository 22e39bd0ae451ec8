#include "agent/keeper/keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/keeper/fd_room.h"
#include "agent/keeper/log.h"
#include "base/os/channel.h"
#include "base/os/signal_fd.h"

namespace apm::keeper {
namespace {

namespace pb = ::apm::internal::v1;

// Exit statuses by which the agent says that starting it again is no use.
constexpr int kWrongUsage = 2;
constexpr int kCannotStart = 78;  // EX_CONFIG of sysexits.h.

std::vector<std::string> AgentArgv(const std::vector<std::string>& args) {
  std::vector<std::string> argv = {"apm-agent", "--keeper-fd", "3"};
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

// Our children, orphans that we adopted included (proc(5), CONFIG_PROC_CHILDREN
// of the kernel; none without it).
std::vector<pid_t> Children() {
  const std::string pid = std::to_string(getpid());
  const std::string path = "/proc/self/task/" + pid + "/children";
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<pid_t> children;
  char text[4096];  // What does not fit is seen when these are gone.
  const ssize_t size = fd ? read(fd.get(), text, sizeof text - 1) : 0;
  text[size > 0 ? size : 0] = '\0';
  char* rest = text;
  for (char* space = strchr(rest, ' '); space != nullptr;
       rest = space + 1, space = strchr(rest, ' ')) {
    children.push_back(static_cast<pid_t>(strtol(rest, nullptr, 10)));
  }
  return children;
}

}  // namespace

Keeper::Keeper(EventLoop& loop, UniqueFd signals, const PidFile& pid_file,
               Setup setup)
    : loop_(loop),
      signals_(std::move(signals)),
      pid_file_(pid_file),
      setup_(std::move(setup)),
      agent_(loop, setup_.folder + "/apm-agent", AgentArgv(setup_.agent_args),
             {.started = [this] { OnAgentStarted(); },
              .message =
                  [this](std::string_view message, std::vector<UniqueFd> fds) {
                    OnAgentMessage(message, std::move(fds));
                  },
              .gone = [this](const ServiceExit& exit) { OnAgentGone(exit); }}),
      proxy_(loop, setup_.folder + "/apm-proxy",
             {"apm-proxy", "--keeper-fd", "3"},
             {.started = [this] { Introduce(); },
              .message =
                  [this](std::string_view, const std::vector<UniqueFd>&) {
                    Ignore(proxy_, "a proxy has nothing to say here");
                  },
              .gone = [this](const ServiceExit& exit) { OnProxyGone(exit); }}),
      workers_(loop, setup_.folder + "/apm-exec",
               [this](const pb::FromKeeper& reply) { Tell(agent_, reply); }) {}

void Keeper::Start() {
  agent_.Start();
  proxy_.Start();
}

int Keeper::Run() {
  const absl::Status status =
      loop_.Add(signals_.get(), EPOLLIN, [this](uint32_t) { OnSignals(); });
  if (!status.ok()) {
    LogError(std::string(status.message()));
    return 1;
  }
  loop_.Run();
  loop_.Remove(signals_.get());
  return exit_status_;
}

// ---- signals ----

void Keeper::OnSignals() {
  for (const int signal : TakeSignals(signals_.get())) {
    if (signal == SIGTERM || signal == SIGINT) OnTerminationSignal();
    if (signal == SIGHUP) LogInfo("ignored SIGHUP");
  }
  ReapChildren();  // SIGCHLD merges: one may stand for many.
}

void Keeper::OnTerminationSignal() {
  switch (phase_) {
    case Phase::kServing:
      if (!agent_.up()) {
        LogInfo("asked to stop while there is no agent");
        End(0);
        return;
      }
      LogInfo("asked to stop, apm-agent stops the workers");
      phase_ = Phase::kAsking;
      deadline_ = loop_.RunAfter(kShutdownPatience, [this] {
        LogWarning("apm-agent did not stop the workers in time");
        End(0);
      });
      {
        pb::FromKeeper message;
        message.mutable_shutdown_requested();
        Tell(agent_, message);
      }
      return;
    case Phase::kAsking:
      LogInfo("asked to stop again, killing what is left");
      End(0);
      return;
    case Phase::kEnding:
      agent_.Kill();
      proxy_.Kill();
      return;
  }
}

void Keeper::ReapChildren() {
  for (;;) {
    int status = 0;
    rusage usage{};
    const pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid > 0) {
      // What is nobody's is an orphan that we adopted as the subreaper.
      if (!workers_.HandleExit(pid, status, usage) &&
          !agent_.HandleExit(pid, status)) {
        proxy_.HandleExit(pid, status);
      }
      continue;
    }
    if (phase_ == Phase::kEnding) {
      if (pid < 0) loop_.Stop();  // ECHILD: we are alone.
      if (pid == 0) KillStrays();
    }
    return;
  }
}

// ---- agent and proxy ----

void Keeper::OnAgentStarted() {
  pb::FromKeeper message;
  pb::Welcome* welcome = message.mutable_welcome();
  welcome->set_agent_incarnation(agent_.incarnation());
  welcome->set_keeper_pid(static_cast<uint32_t>(getpid()));
  workers_.List(*welcome);
  for (std::string& name : fds_.Names()) {
    welcome->add_stored_fds(std::move(name));
  }
  for (const auto& [name, value] : notes_.notes()) {
    pb::PutState* note = welcome->add_states();
    note->set_name(name);
    note->set_value(value);
  }
  Tell(agent_, message);
  workers_.RepeatExits();
  Introduce();
}

// Gives the two a channel to each other, whichever of them is new.
void Keeper::Introduce() {
  if (!agent_.up() || !proxy_.up()) return;
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> ends = CreateChannelPair();
  if (!ends.ok()) {
    LogError("apm-proxy is started again: " +
             std::string(ends.status().message()));
    proxy_.Kill();
    return;
  }
  pb::AgentChannel channel;
  channel.set_proxy_incarnation(proxy_.incarnation());
  channel.set_agent_incarnation(agent_.incarnation());
  const int for_proxy[] = {ends->first.get()};
  proxy_.Send(channel.SerializeAsString(), for_proxy);

  pb::FromKeeper message;
  message.mutable_proxy_started()->set_pid(proxy_.pid());
  message.mutable_proxy_started()->set_incarnation(proxy_.incarnation());
  const int for_agent[] = {ends->second.get()};
  agent_.Send(message.SerializeAsString(), for_agent);
}

void Keeper::OnAgentGone(const ServiceExit& exit) {
  const bool hopeless = !exit.signaled && (exit.status == kWrongUsage ||
                                           exit.status == kCannotStart);
  if (phase_ == Phase::kAsking) {
    End(0);
  } else if (phase_ == Phase::kServing && hopeless && !agent_has_spoken_) {
    End(1);  // It has said why.
  }
}

void Keeper::OnProxyGone(const ServiceExit& exit) {
  pb::FromKeeper message;
  pb::ProxyExited* exited = message.mutable_proxy_exited();
  exited->set_pid(exit.pid);
  exited->set_incarnation(proxy_.incarnation());
  exited->set_signaled(exit.signaled);
  exited->set_status(exit.status);
  exited->set_restart_in_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(exit.restart_in)));
  Tell(agent_, message);
}

void Keeper::Tell(Service& service, const pb::FromKeeper& message) {
  service.Send(message.SerializeAsString());
}

// ---- what the agent says ----

void Keeper::OnAgentMessage(std::string_view message,
                            std::vector<UniqueFd> fds) {
  agent_has_spoken_ = true;
  pb::ToKeeper request;
  if (!request.ParseFromArray(message.data(),
                              static_cast<int>(message.size()))) {
    Ignore(agent_, "it is malformed");
  } else if (const absl::Status status = Obey(request, fds); !status.ok()) {
    Ignore(agent_, std::string(status.message()));
  }
}

// An error if the request makes no sense, or there is no room.
absl::Status Keeper::Obey(const pb::ToKeeper& request,
                          std::vector<UniqueFd>& fds) {
  switch (request.body_case()) {
    case pb::ToKeeper::kSpawn:
      workers_.Spawn(request.spawn(), fds);
      return absl::OkStatus();
    case pb::ToKeeper::kSignal:
      workers_.Signal(request.signal());
      return absl::OkStatus();
    case pb::ToKeeper::kAckExit:
      workers_.AckExit(request.ack_exit());
      return absl::OkStatus();
    case pb::ToKeeper::kPutFd:
      if (fds.size() != 1) break;
      return StoreFd(request.put_fd().name(), std::move(fds.front()));
    case pb::ToKeeper::kFetchFd:
      SendStoredFd(request.fetch_fd().name());
      return absl::OkStatus();
    case pb::ToKeeper::kDropFd:
      fds_.Drop(request.drop_fd().name());
      return absl::OkStatus();
    case pb::ToKeeper::kShutdown:
      LogInfo("apm-agent has stopped the workers");
      End(0);
      return absl::OkStatus();
    case pb::ToKeeper::kPutState:
      return notes_.Put(request.put_state().name(),
                        request.put_state().value());
    case pb::ToKeeper::kDropState:
      notes_.Drop(request.drop_state().name());
      return absl::OkStatus();
    case pb::ToKeeper::kReexec:
      ReexecAtEndOfTurn();
      return absl::OkStatus();
    case pb::ToKeeper::BODY_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("it makes no sense");
}

absl::Status Keeper::StoreFd(const std::string& name, UniqueFd fd) {
  const bool replaces = fds_.Find(name) >= 0;
  if (!replaces && !LeavesRoomForProcesses(fd.get())) {
    return absl::ResourceExhaustedError("no room for descriptor '" + name +
                                        "'");
  }
  return fds_.Put(name, std::move(fd));
}

void Keeper::SendStoredFd(const std::string& name) {
  const int fd = fds_.Find(name);
  pb::FromKeeper message;
  message.mutable_stored_fd()->set_name(name);
  message.mutable_stored_fd()->set_found(fd >= 0);
  const std::vector<int> sent(fd >= 0 ? 1 : 0, fd);
  agent_.Send(message.SerializeAsString(), sent);
}

void Keeper::Ignore(const Service& sender, std::string_view why) {
  ++ignored_messages_;
  // At 1, 2, 4, 8...: a sender gone mad must not fill the log.
  if (!std::has_single_bit(ignored_messages_)) return;
  LogWarning("ignored a message of " + sender.name() + ": " + std::string(why) +
             "; so far " + std::to_string(ignored_messages_));
}

// ---- the end ----

void Keeper::End(int exit_status) {
  if (phase_ == Phase::kEnding) return;
  phase_ = Phase::kEnding;
  exit_status_ = exit_status;
  loop_.Cancel(deadline_);
  deadline_ = loop_.RunAfter(kEndPatience, [this] {
    std::string pids;
    for (const pid_t child : Children()) pids += " " + std::to_string(child);
    LogError("could not be killed:" + pids);
    loop_.Stop();
  });
  workers_.KillAll();
  proxy_.Stop();
  agent_.Stop();
  // Not from here: we may be inside of what reaping changes.
  loop_.Post([this] { ReapChildren(); });
}

// When agent and proxy have gone, whatever is still there was left behind by
// a worker, outside of its group. Killing it makes its children ours.
void Keeper::KillStrays() {
  if (agent_.has_process() || proxy_.has_process()) return;
  for (const pid_t child : Children()) kill(child, SIGKILL);
}

}  // namespace apm::keeper
