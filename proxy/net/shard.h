// One thread's share of the proxy: its listeners, connections, workers and
// sessions, wired together. Everything in it lives on one EventLoop.
//
// A turn: clients are read, their requests go into the workers' buffers;
// workers are read, their answers go into the clients' buffers. At the end of
// the turn each worker gets one write and each client one send.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/os/event_loop.h"
#include "base/os/timers.h"
#include "base/os/unique_fd.h"
#include "proxy/agent_link.h"
#include "proxy/counter_memory.h"
#include "proxy/link_memory.h"
#include "proxy/net/acceptor.h"
#include "proxy/net/connection.h"
#include "proxy/net/listener.h"
#include "proxy/net/net_context.h"
#include "proxy/routing/snapshot.h"
#include "proxy/upstream/session_table.h"
#include "proxy/upstream/upstream_context.h"

namespace apm::net {

inline constexpr uint32_t kMaxConnections = 20'000;

// Owned by main(). Thread: the loop's.
class Shard final : public proxy::AgentCommands,
                    public ConnectionOwner,
                    public upstream::UpstreamEvents {
 public:
  // `loop` outlives the shard.
  explicit Shard(EventLoop& loop);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard() override;

  // Where reports go; `reports` outlives the shard. Before anything else.
  void ReportTo(proxy::AgentReports& reports) { reports_ = &reports; }

  void SetIncarnation(uint64_t incarnation) override;
  void ApplySnapshot(routing::Snapshot snapshot) override;
  void AddListener(routing::ListenerSpec spec, UniqueFd socket) override;
  void RemoveListener(uint32_t id) override;
  void UseLinkRecords(UniqueFd links, uint32_t link_count, UniqueFd sessions,
                      uint32_t session_count) override;
  void AttachWorker(const upstream::InstanceKey& key,
                    upstream::Attachment attachment) override;
  void TakeOverDone() override;
  void WorkerReady(const upstream::InstanceKey& key) override;
  void DrainWorker(const upstream::InstanceKey& key, bool for_good,
                   absl::Duration deadline) override;
  void DetachWorker(const upstream::InstanceKey& key) override;
  void UseCounters(UniqueFd memfd, uint32_t slots) override;
  void UseAccessLog(uint32_t worker_id, UniqueFd file) override;
  void DrainAll(absl::Duration deadline) override;

  void Mark(Connection& connection) override;

  void OnHello(const upstream::InstanceKey& key,
               const upstream::WorkerTraits& traits) override;
  void OnDrained(const upstream::InstanceKey& key,
                 uint32_t sessions_left) override;
  void OnLinkLost(const upstream::InstanceKey& key) override;
  void OnWarning(uint32_t worker_id, std::string_view text) override;

 private:
  // A listener that was removed stays until its connections are gone.
  struct OpenListener {
    Listener listener;
    std::unique_ptr<Acceptor> acceptor;  // Null: removed.
  };

  Route* FindRoute(uint32_t worker_id);
  void ApplyWorker(routing::WorkerSettings settings);
  void OnAccept(Listener& listener, UniqueFd socket, Peer peer);
  void EndOfTurn();
  void Destroy(Connection& connection);
  void StopListening(OpenListener& open);
  void RemoveUnused();
  bool HasListener(const Route& route) const;
  void FlushLogs();
  void ReportIfDrained();

  EventLoop& loop_;
  proxy::AgentReports* reports_ = nullptr;
  proxy::CounterMemory counters_;
  std::vector<char> read_scratch_;
  upstream::SessionTable sessions_;
  proxy::LinkMemory links_;
  upstream::UpstreamContext upstream_;
  NetContext context_;
  std::unordered_map<uint32_t, Route> routes_;  // By worker.
  std::unordered_map<uint32_t, OpenListener> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> marked_;
  bool end_of_turn_due_ = false;
  const uint32_t most_connections_;  // That the descriptor limit allows.
  uint32_t max_connections_;
  bool something_unused_ = false;
  bool report_drained_ = false;
  TimerId drain_timer_ = kNoTimer;
};

}  // namespace apm::net
