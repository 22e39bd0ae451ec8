// A worker with all its instances: who gets the next session, and who waits.
//
// Round robin over the instances that have credit; when none has, a bounded
// queue, first come first served. A new process gets sessions when it is
// proven: one that dies at once must lose none while another could serve them.
// Where no proven one serves, the new ones do.
//
// The deadline in the queue is the peer's
// (it has a timer anyway): it ends the session when it has waited enough.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "proxy/counters.h"
#include "proxy/routing/snapshot.h"
#include "proxy/upstream/instance.h"
#include "proxy/upstream/instance_key.h"
#include "proxy/upstream/retry_budget.h"
#include "proxy/upstream/session.h"
#include "proxy/upstream/upstream_context.h"

namespace apm::upstream {

// A waiting request holds a 64 KiB input buffer at most: 64 MiB a worker.
inline constexpr size_t kMaxQueuedSessions = 1024;
inline constexpr size_t kMaxSessions = 10'000;
inline constexpr size_t kMaxSavedBytes = size_t{64} << 20;

// Owned by the shard. Thread: the shard's.
class Worker {
 public:
  // `context` and `counters` outlive the worker.
  Worker(UpstreamContext& context, routing::WorkerSettings settings,
         proxy::WorkerCounters& counters);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  const routing::WorkerSettings& settings() const { return settings_; }
  void UseSettings(routing::WorkerSettings settings);

  proxy::WorkerCounters& counters() { return *counters_; }
  void UseCounters(proxy::WorkerCounters& counters) { counters_ = &counters; }

  // Starts a session for `peer`. With an instance: append its first frame
  // now. Without: it waits, and OnDispatched() follows. Null: too many wait,
  // or too many are open.
  Session* Open(SessionKind kind, SessionPeer& peer);

  // The client's side ended it; the worker is told `reason`.
  void End(Session& session, std::string_view reason);

  // Of a key that is there already only the stray pipe is taken: the agent is
  // a new one. Else as Instance::Create().
  absl::Status Attach(const InstanceKey& key, Attachment attachment);
  void MarkReady(const InstanceKey& key);
  void Drain(const InstanceKey& key, bool for_good, absl::Duration deadline);
  void Detach(const InstanceKey& key);

  bool idle() const { return instances_.empty() && queue_.empty(); }

  // For Instance.

  // The worker closed it.
  void Forget(Session& session);
  // The link is closed. Destroys the instance.
  void OnInstanceLost(Instance& instance);
  // Credit has come back, or an instance is proven.
  void DispatchQueued();
  // Accounts for saveSessionData; false if the worker holds too much.
  bool ReserveSaved(size_t before, size_t after);
  void WarnOfBadFrame(std::string_view problem, std::string_view head_json);

 private:
  Instance* Find(const InstanceKey& key) const;
  Instance* Choose(SessionKind kind);
  void Enqueue(Session& session, bool in_front);
  void Remove(Instance& instance, Loss loss);
  bool MayRetry(const Session& session, size_t unanswered);

  UpstreamContext& context_;
  routing::WorkerSettings settings_;
  proxy::WorkerCounters* counters_;
  std::vector<std::unique_ptr<Instance>> instances_;
  size_t next_instance_ = 0;
  SessionList queue_;
  size_t open_sessions_ = 0;  // Queued and dispatched.
  size_t saved_bytes_ = 0;
  bool dispatching_ = false;
  RetryBudget retries_;
  absl::Duration next_warning_ = -absl::InfiniteDuration();
};

}  // namespace apm::upstream
