#include "agent/keeper_client.h"

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "apm/internal/v1/keeper.pb.h"
#include "base/fault/fault.h"
#include "base/log/log.h"
#include "base/os/channel.h"
#include "base/os/unique_fd.h"

namespace apm::agent {
namespace {

namespace pb = ::apm::internal::v1;

InstanceKey FromProto(const pb::ProcessKey& key) {
  return InstanceKey{key.worker(), key.instance(), key.generation()};
}

void ToProto(const InstanceKey& key, pb::ProcessKey& out) {
  out.set_worker(key.worker);
  out.set_instance(key.instance);
  out.set_generation(key.generation);
}

ProcessExit FromProto(const pb::Exited& exited) {
  ProcessExit exit;
  (exited.signaled() ? exit.signal : exit.code) = exited.status();
  exit.core_dumped = exited.core_dumped();
  exit.user_time = absl::Microseconds(exited.user_us());
  exit.system_time = absl::Microseconds(exited.system_us());
  exit.max_rss_kb = exited.max_rss_kb();
  exit.unix_ms = static_cast<int64_t>(exited.exited_unix_ms());
  return exit;
}

Welcome FromProto(const pb::Welcome& message) {
  Welcome welcome;
  welcome.keeper = static_cast<pid_t>(message.keeper_pid());
  welcome.agent_incarnation = message.agent_incarnation();
  for (const pb::RunningProcess& process : message.running()) {
    welcome.running.push_back(
        {.key = FromProto(process.key()),
         .pid = process.pid(),
         .start_ticks = process.start_ticks(),
         .started = absl::FromUnixMillis(
             static_cast<int64_t>(process.started_unix_ms())),
         .starting = process.starting(),
         .exited = process.exited()});
  }
  welcome.stored_fds.assign(message.stored_fds().begin(),
                            message.stored_fds().end());
  for (const pb::PutState& note : message.states()) {
    welcome.states[note.name()] = note.value();
  }
  return welcome;
}

ProxyExit FromProto(const pb::ProxyExited& exited) {
  ProxyExit exit;
  exit.pid = exited.pid();
  exit.incarnation = exited.incarnation();
  (exited.signaled() ? exit.signal : exit.code) = exited.status();
  exit.restart_in = absl::Milliseconds(exited.restart_in_ms());
  return exit;
}

UniqueFd FirstOf(std::vector<UniqueFd>& fds) {
  return fds.empty() ? UniqueFd() : std::move(fds.front());
}

}  // namespace

KeeperClient::KeeperClient(EventLoop& loop, UniqueFd channel,
                           KeeperEvents& events)
    : events_(events), channel_(loop, std::move(channel)) {}

absl::Status KeeperClient::Start() {
  return channel_.Start(
      [this](std::string_view message, std::vector<UniqueFd> fds) {
        OnMessage(message, std::move(fds));
      },
      [this](const absl::Status& reason) { events_.OnKeeperGone(reason); });
}

template <typename Message>
absl::Status KeeperClient::Send(const Message& message,
                                std::span<const int> fds) {
  fault::Point("agent.keeper.send", message.body_case());
  absl::Status sent = channel_.Send(message.SerializeAsString(), fds);
  fault::Point("agent.keeper.sent", message.body_case());
  return sent;
}

absl::Status KeeperClient::Spawn(const InstanceKey& key,
                                 const ExecRequest& request,
                                 const int (&stdio)[3]) {
  pb::ToKeeper message;
  pb::Spawn& spawn = *message.mutable_spawn();
  ToProto(key, *spawn.mutable_key());
  pb::ExecSpec& spec = *spawn.mutable_spec();
  spec.set_executable(request.executable);
  for (const std::string& arg : request.argv) spec.add_argv(arg);
  for (const std::string& variable : request.env) spec.add_env(variable);
  spec.set_cwd(request.cwd);
  spec.set_change_user(request.change_user);
  spec.set_uid(request.uid);
  spec.set_gid(request.gid);
  for (const gid_t group : request.groups) spec.add_groups(group);
  return Send(message, stdio);
}

void KeeperClient::Signal(const InstanceKey& key, int signal, bool to_group) {
  pb::ToKeeper message;
  ToProto(key, *message.mutable_signal()->mutable_key());
  message.mutable_signal()->set_signal(signal);
  message.mutable_signal()->set_to_group(to_group);
  Send(message).IgnoreError();  // A keeper that has gone ends the agent.
}

void KeeperClient::AckExit(const InstanceKey& key) {
  pb::ToKeeper message;
  ToProto(key, *message.mutable_ack_exit()->mutable_key());
  Send(message).IgnoreError();
}

void KeeperClient::PutFd(std::string_view name, int fd) {
  pb::ToKeeper message;
  message.mutable_put_fd()->set_name(std::string(name));
  const int fds[] = {fd};
  if (absl::Status sent = Send(message, fds); !sent.ok()) {
    log::Warning("keep descriptor '%s' in the keeper: %s", name,
                 sent.ToString());
  }
}

void KeeperClient::FetchFd(std::string_view name) {
  pb::ToKeeper message;
  message.mutable_fetch_fd()->set_name(std::string(name));
  Send(message).IgnoreError();
}

void KeeperClient::DropFd(std::string_view name) {
  pb::ToKeeper message;
  message.mutable_drop_fd()->set_name(std::string(name));
  Send(message).IgnoreError();
}

void KeeperClient::PutState(std::string_view name, std::string_view value) {
  pb::ToKeeper message;
  message.mutable_put_state()->set_name(std::string(name));
  message.mutable_put_state()->set_value(std::string(value));
  if (absl::Status sent = Send(message); !sent.ok()) {
    log::Warning("keep note '%s' in the keeper: %s", name, sent.ToString());
  }
}

void KeeperClient::DropState(std::string_view name) {
  pb::ToKeeper message;
  message.mutable_drop_state()->set_name(std::string(name));
  Send(message).IgnoreError();
}

void KeeperClient::Reexec() {
  pb::ToKeeper message;
  message.mutable_reexec();
  Send(message).IgnoreError();
}

void KeeperClient::Shutdown() {
  pb::ToKeeper message;
  message.mutable_shutdown();
  Send(message).IgnoreError();
  channel_.Flush(absl::Seconds(1));
}

void KeeperClient::OnMessage(std::string_view message,
                             std::vector<UniqueFd> fds) {
  pb::FromKeeper from;
  if (!from.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    log::Error("the keeper sent %d bytes that are no message: ignored",
               message.size());
    return;
  }
  fault::Point("agent.keeper.heard", from.body_case());
  switch (from.body_case()) {
    case pb::FromKeeper::kWelcome:
      events_.OnWelcome(FromProto(from.welcome()));
      return;
    case pb::FromKeeper::kSpawned:
      events_.OnSpawned(FromProto(from.spawned().key()), from.spawned().pid(),
                        from.spawned().start_ticks());
      return;
    case pb::FromKeeper::kSpawnFailed:
      events_.OnSpawnFailed(
          FromProto(from.spawn_failed().key()), from.spawn_failed().step(),
          from.spawn_failed().error(), from.spawn_failed().detail());
      return;
    case pb::FromKeeper::kExited:
      events_.OnExited(FromProto(from.exited().key()),
                       FromProto(from.exited()));
      return;
    case pb::FromKeeper::kStoredFd:
      events_.OnStoredFd(from.stored_fd().name(), FirstOf(fds));
      return;
    case pb::FromKeeper::kProxyStarted:
      events_.OnProxyStarted(from.proxy_started().pid(),
                             from.proxy_started().incarnation(), FirstOf(fds));
      return;
    case pb::FromKeeper::kProxyExited:
      events_.OnProxyExited(FromProto(from.proxy_exited()));
      return;
    case pb::FromKeeper::kShutdownRequested:
      events_.OnShutdownRequested();
      return;
    case pb::FromKeeper::kReexeced:
      events_.OnReexeced({.version = from.reexeced().version(),
                          .error = from.reexeced().error(),
                          .processes = from.reexeced().processes(),
                          .descriptors = from.reexeced().descriptors()});
      return;
    case pb::FromKeeper::BODY_NOT_SET:
      break;
  }
  log::Warning("the keeper sent a message this version does not know: ignored");
}

}  // namespace apm::agent
