// The main process of APM: the parent of all others, and the place where what
// must not be lost is kept, while agent and proxy may crash or be replaced.
//
//   agent  <- Welcome, Exited..., ProxyStarted -  each new agent
//   proxy  <- AgentChannel                     -  each pair of the two
//
// It decides nothing: what to run, when and why is the agent's business
// (agent/). Single-threaded, small, never restarted: a new version takes over
// in the same process (reexec.h).

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/keeper/fd_store.h"
#include "agent/keeper/note_store.h"
#include "agent/keeper/pid_file.h"
#include "agent/keeper/service.h"
#include "agent/keeper/workers.h"
#include "apm/internal/v1/keeper.pb.h"
#include "apm/internal/v1/keeper_state.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {

class Keeper {
 public:
  // How long the agent may take to stop its workers.
  static constexpr absl::Duration kShutdownPatience = absl::Seconds(60);
  // How long we wait for killed processes to be gone.
  static constexpr absl::Duration kEndPatience = absl::Seconds(10);

  struct Setup {
    std::string folder;  // Of apm-keeper, apm-agent, apm-proxy and apm-exec.
    std::vector<std::string> args;        // Our own, for a successor.
    std::vector<std::string> agent_args;  // Of apm-agent.
  };

  // `signals` is a signalfd of TERM, INT, HUP and CHLD. `loop` and `pid_file`
  // outlive the keeper.
  Keeper(EventLoop& loop, UniqueFd signals, const PidFile& pid_file,
         Setup setup);

  // Either starts agent and proxy, or goes on where the program that this one
  // replaces has stopped.
  void Start();
  absl::Status TakeOver(const internal::v1::KeeperState& state);

  // Until the end: after a termination signal, or when the agent says so. The
  // exit status: 0, or 1 if the agent could not start at all.
  int Run();

 private:
  enum class Phase : uint8_t {
    kServing,
    kAsking,  // The agent is stopping the workers.
    kEnding,  // Everything that is left is being killed.
  };

  void OnSignals();
  void OnTerminationSignal();
  void ReapChildren();

  void OnAgentStarted();
  void OnAgentMessage(std::string_view message, std::vector<UniqueFd> fds);
  void OnAgentGone(const ServiceExit& exit);
  void OnProxyGone(const ServiceExit& exit);
  void Introduce();
  void Tell(Service& service, const internal::v1::FromKeeper& message);

  absl::Status Obey(const internal::v1::ToKeeper& request,
                    std::vector<UniqueFd>& fds);
  absl::Status StoreFd(const std::string& name, UniqueFd fd);
  void SendStoredFd(const std::string& name);
  void ReexecAtEndOfTurn();
  internal::v1::KeeperState Save() const;
  void SayReexeced(const absl::Status& result);
  void Ignore(const Service& sender, std::string_view why);

  void End(int exit_status);
  void KillStrays();

  EventLoop& loop_;
  UniqueFd signals_;
  const PidFile& pid_file_;
  const Setup setup_;
  Service agent_;
  Service proxy_;
  Workers workers_;
  FdStore fds_;
  NoteStore notes_;

  Phase phase_ = Phase::kServing;
  TimerId deadline_ = kNoTimer;
  int exit_status_ = 0;
  bool agent_has_spoken_ = false;  // Any agent, ever.
  uint64_t ignored_messages_ = 0;
};

}  // namespace apm::keeper
