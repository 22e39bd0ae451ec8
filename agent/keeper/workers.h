// The worker processes: started through apm-exec, signalled, and their exits
// told to the agent until it acknowledges them. What the requests mean is
// written beside the messages, proto/apm/internal/v1/keeper.proto.

#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "agent/keeper/process_table.h"
#include "apm/internal/v1/keeper.pb.h"
#include "apm/internal/v1/keeper_state.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {

class Workers {
 public:
  // Sends to the agent of the moment, if there is one.
  using Reply = std::function<void(const internal::v1::FromKeeper&)>;

  // `exec_path` names apm-exec. `loop` outlives the workers.
  Workers(EventLoop& loop, std::string exec_path, Reply reply);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  void Spawn(const internal::v1::Spawn& request,
             std::span<const UniqueFd> stdio);
  void Signal(const internal::v1::Signal& request);
  void AckExit(const internal::v1::AckExit& request);

  // For each child that was reaped: true if it was a worker.
  bool HandleExit(pid_t pid, int wait_status, const rusage& usage);

  // For a new agent: all that is known, and after that the exits it must
  // still hear.
  void List(internal::v1::Welcome& welcome) const;
  void RepeatExits() const;

  // SIGKILL to every group.
  void KillAll() const;

  // For the program that replaces this one, and there.
  void Save(internal::v1::KeeperState& state) const;
  absl::Status TakeOver(const internal::v1::KeeperState& state);

  // Those that have not been reaped.
  size_t alive() const { return table_.unreaped(); }

 private:
  int Start(const internal::v1::ExecSpec& spec, std::span<const UniqueFd> stdio,
            const ProcessKey& key, std::string& detail);
  absl::Status WatchStart(int failure_pipe, const ProcessKey& key);
  void ReadFailure(const ProcessKey& key);
  void FinishStart(const ProcessKey& key, std::string_view failure);
  void SayFailed(const ProcessKey& key, std::string_view step, int error,
                 std::string_view detail) const;
  void SaySpawned(const ProcessKey& key, const Process& process) const;
  void SayExited(const Process& process) const;

  EventLoop& loop_;
  const std::string exec_path_;
  const Reply reply_;
  ProcessTable table_;
};

}  // namespace apm::keeper
