// Turns the supervisor's decisions into acts: prepares a process (program,
// environment, user, pipes), has the keeper spawn it, signals it, and when it
// has ended removes what it left behind.
//
// Everything a successor needs is with the keeper before the process is: its
// pipes under PipeName(), its note under ProcessNoteName(). Both are dropped
// when its exit is acknowledged.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>

#include "agent/inheritance.h"
#include "agent/keeper_client.h"
#include "agent/logs/log_store.h"
#include "agent/note_book.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/ports.h"
#include "agent/sweeper.h"
#include "agent/worker_environment.h"
#include "agent/worker_links.h"
#include "agent/worker_record.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// Thread: the main loop's.
class Launcher final : public supervisor::Processes {
 public:
  struct Parts {
    EventLoop& loop;
    KeeperClient& keeper;
    logs::LogStore& logs;
    const WorkerRecords& records;
    NoteBook& notes;
    WorkerLinks& links;
    Sweeper& sweeper;
    EnvironmentBase environment;
    // In a later turn: what went wrong before the keeper was asked.
    std::function<void(const supervisor::InstanceKey& key,
                       std::string_view step, int error, std::string_view text)>
        on_failure;
  };

  explicit Launcher(Parts parts) : parts_(std::move(parts)) {}

  // The daemon's part of every worker's APM_PROCESS. Before any Launch().
  void SetDaemonId(std::string id) {
    parts_.environment.daemon_id = std::move(id);
  }

  void Launch(const supervisor::InstanceKey& key) override;
  void Signal(const supervisor::InstanceKey& key, int signal) override;
  void Sweep(const supervisor::InstanceKey& key) override;
  void Remember(const supervisor::InstanceKey& key,
                const supervisor::ProcessMemo& memo) override;
  void Remember(std::string_view worker, uint32_t instance,
                const supervisor::InstanceMemo& memo) override;

  // Goes on with a process of an earlier agent, of which `ready` says whether
  // it was. Its worker is known.
  void Adopt(InheritedProcess inherited, bool ready);

  // The keeper's answers that concern more than the supervisor.
  void OnSpawned(const supervisor::InstanceKey& key, pid_t pid,
                 uint64_t start_ticks);
  void OnSpawnFailed(const supervisor::InstanceKey& key);
  // Nothing of the process is left: acknowledges its exit and drops what was
  // kept for it.
  void Close(const supervisor::InstanceKey& key);

  // SIGKILL to every process, wherever it went: without the keeper, which is
  // gone. Blocks, briefly.
  void KillAll() const;

  pid_t Pid(const supervisor::InstanceKey& key) const;  // 0: none.
  // Start time of a running process (ProcessStartTicks); 0 if it is not known.
  uint64_t StartTicks(const supervisor::InstanceKey& key) const;

  // The words for a step of apm-exec that failed, with the next step to take.
  std::string DescribeFailure(const supervisor::InstanceKey& key,
                              std::string_view step, int error,
                              std::string_view detail) const;

 private:
  struct Process {
    pid_t pid = 0;  // 0 until it is spawned.
    uint64_t start_ticks = 0;
  };

  absl::Status TryLaunch(const supervisor::InstanceKey& key);
  ExecRequest RequestFor(const supervisor::InstanceKey& key,
                         const WorkerRecord& record,
                         std::string executable) const;
  void Keep(PipeEnd end, const supervisor::InstanceKey& key,
            const UniqueFd& fd);
  void DropKept(const supervisor::InstanceKey& key);

  Parts parts_;
  std::map<supervisor::InstanceKey, Process, KeyOrder> processes_;
};

}  // namespace apm::agent
