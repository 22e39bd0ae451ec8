// Turns the supervisor's decisions into acts: prepares a process (program,
// environment, user, pipes), has the keeper spawn it, and gives its pipes to
// the proxy and to the log.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/keeper_client.h"
#include "agent/logs/log_store.h"
#include "agent/proxy_client.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/ports.h"
#include "agent/worker_environment.h"
#include "agent/worker_record.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// Thread: the main loop's.
class Launcher final : public supervisor::Processes,
                       public supervisor::Traffic {
 public:
  // What goes wrong before the keeper is asked; reported in a later turn.
  using FailureCallback = std::function<void(const supervisor::InstanceKey& key,
                                             std::string_view step, int error,
                                             std::string_view text)>;

  struct Parts {
    EventLoop& loop;
    KeeperClient& keeper;
    ProxyClient& proxy;
    logs::LogStore& logs;
    WorkerRecords& records;
    EnvironmentBase environment;
    FailureCallback on_failure;
    std::function<void(const supervisor::InstanceKey& key)> on_link_lost;
    std::function<void(const supervisor::InstanceKey& key)> on_swept = {};
  };

  explicit Launcher(Parts parts) : parts_(std::move(parts)) {}

  void Remember(const supervisor::InstanceKey&,
                const supervisor::ProcessMemo&) override {}
  void Remember(std::string_view, uint32_t,
                const supervisor::InstanceMemo&) override {}
  void Launch(const supervisor::InstanceKey& key) override;
  void Signal(const supervisor::InstanceKey& key, int signal) override;
  void Sweep(const supervisor::InstanceKey& key) override;
  void Attach(const supervisor::InstanceKey& key) override;
  void Ready(const supervisor::InstanceKey& key) override;
  void Drain(const supervisor::InstanceKey& key, supervisor::StopReason reason,
             absl::Duration deadline) override;
  void Detach(const supervisor::InstanceKey& key) override;

  // The keeper's answers that concern more than the supervisor.
  void OnSpawned(const supervisor::InstanceKey& key, pid_t pid,
                 uint64_t start_ticks);
  void OnGone(const supervisor::InstanceKey& key);  // Exited, or never began.

  // A proxy has started: gives it the links that wait for one.
  void AttachWaiting();
  // The proxy has gone, and with it every pipe it had: calls `lost` for each.
  void ForgetLinks(
      const std::function<void(const supervisor::InstanceKey&)>& lost);

  // The keeper has gone: kills every process group that still is ours.
  void KillAll() const;

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
    UniqueFd stdin_pipe;   // Ours to write, until the proxy has it.
    UniqueFd stdout_pipe;  // Ours to read, likewise.
    bool attached = false;
    bool wants_attach = false;
    bool ready = false;
  };
  struct KeyOrder {
    bool operator()(const supervisor::InstanceKey& a,
                    const supervisor::InstanceKey& b) const {
      return std::tie(a.worker, a.instance, a.generation) <
             std::tie(b.worker, b.instance, b.generation);
    }
  };

  absl::Status TryLaunch(const supervisor::InstanceKey& key);
  void AttachNow(const supervisor::InstanceKey& key, Process& process);

  Parts parts_;
  std::map<supervisor::InstanceKey, Process, KeyOrder> processes_;
};

}  // namespace apm::agent
