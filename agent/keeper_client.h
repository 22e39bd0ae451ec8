// The agent's end of its channel to apm-keeper: messages of
// proto/apm/internal/v1/keeper.proto as calls and events.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/process_exit.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

using supervisor::InstanceKey;
using supervisor::ProcessExit;

struct ExecRequest {
  std::string executable;  // Absolute.
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string cwd;
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

// A process that an earlier agent started.
struct RunningProcess {
  InstanceKey key;
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // With the pid, what tells it from a later one.
  absl::Time started;
  bool starting = false;  // OnSpawned or OnSpawnFailed follows.
  bool exited = false;    // OnExited follows.
};

// All that the keeper kept of earlier agents.
struct Welcome {
  pid_t keeper = 0;
  uint64_t agent_incarnation = 0;  // 1 is the first agent of this daemon.
  std::vector<RunningProcess> running;
  std::vector<std::string> stored_fds;  // To be asked for with FetchFd().
  std::map<std::string, std::string, std::less<>> states;  // Notes, by name.
};

struct ProxyExit {
  pid_t pid = 0;
  uint64_t incarnation = 0;
  int code = 0;               // Exit status; meaningless if `signal` is not 0.
  int signal = 0;             // What killed it, or 0.
  absl::Duration restart_in;  // How long the keeper waits with the next one.
};

struct ReexecReport {
  std::string version;     // Of the keeper that runs now.
  std::string error;       // Empty: its program was replaced.
  uint32_t processes = 0;  // Kept over the change.
  uint32_t descriptors = 0;
};

// What the keeper says. Called on the loop.
class KeeperEvents {
 public:
  virtual ~KeeperEvents() = default;
  // The first event.
  virtual void OnWelcome(Welcome welcome) = 0;
  virtual void OnSpawned(const InstanceKey& key, pid_t pid,
                         uint64_t start_ticks) = 0;
  virtual void OnSpawnFailed(const InstanceKey& key, std::string_view step,
                             int error, std::string_view detail) = 0;
  // To be acknowledged with AckExit().
  virtual void OnExited(const InstanceKey& key, const ProcessExit& exit) = 0;
  virtual void OnStoredFd(std::string_view name, UniqueFd fd) = 0;
  virtual void OnProxyStarted(pid_t pid, uint64_t incarnation,
                              UniqueFd channel) = 0;
  virtual void OnProxyExited(const ProxyExit& exit) = 0;
  virtual void OnShutdownRequested() = 0;
  // The answer to Reexec().
  virtual void OnReexeced(const ReexecReport& report) = 0;
  // The keeper has gone: the agent must end.
  virtual void OnKeeperGone(const absl::Status& reason) = 0;
};

// Thread: the main loop's. Calls after the keeper has gone do nothing.
class KeeperClient {
 public:
  // `channel` is the end that the keeper passed. All outlive the client.
  KeeperClient(EventLoop& loop, UniqueFd channel, KeeperEvents& events);

  absl::Status Start();

  // `stdio`: stdin, stdout, stderr of the process; still the caller's.
  absl::Status Spawn(const InstanceKey& key, const ExecRequest& request,
                     const int (&stdio)[3]);
  void Signal(const InstanceKey& key, int signal, bool to_group);
  void AckExit(const InstanceKey& key);

  // The fd store, which outlives the agent.
  void PutFd(std::string_view name, int fd);
  void FetchFd(std::string_view name);  // Answered by OnStoredFd.
  void DropFd(std::string_view name);

  // Notes to the next agent: at most 64 KiB each, under a name of at most 256
  // bytes. A note that is put before a Spawn() is there if the process is.
  void PutState(std::string_view name, std::string_view value);
  void DropState(std::string_view name);

  // Replaces the keeper's program by the installed one, in place; answered by
  // OnReexeced.
  void Reexec();

  // Everything is stopped: the keeper ends the proxy, this agent and itself.
  void Shutdown();

 private:
  void OnMessage(std::string_view message, std::vector<UniqueFd> fds);
  template <typename Message>
  absl::Status Send(const Message& message, std::span<const int> fds = {});

  KeeperEvents& events_;
  Channel channel_;
};

}  // namespace apm::agent
