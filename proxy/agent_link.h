// The proxy's connection to those who command it. The keeper, on descriptor 3,
// says one thing: here is your channel to the agent, at the start and after
// each restart of the agent. Everything else comes from the agent.
//
// The one place of the proxy that knows protobuf (proto/apm/internal/v1).
// Between two agents the proxy goes on with what the last one said.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "proxy/routing/snapshot.h"
#include "proxy/upstream/instance_key.h"

namespace apm::internal::v1 {
class ToProxy;
}  // namespace apm::internal::v1

namespace apm::proxy {

// What the agent asks for, decoded. Repeated for what is there already, after
// a restart of the agent: each must then be harmless.
class AgentCommands {
 public:
  virtual ~AgentCommands() = default;

  // The keeper's number for this life of the proxy; before anything else.
  virtual void SetIncarnation(uint64_t incarnation) = 0;
  virtual void ApplySnapshot(routing::Snapshot snapshot) = 0;
  virtual void AddListener(routing::ListenerSpec spec, UniqueFd socket) = 0;
  virtual void RemoveListener(uint32_t id) = 0;
  // The records of proxy/link_records.h; before any AttachWorker().
  virtual void UseLinkRecords(UniqueFd links, uint32_t link_count,
                              UniqueFd sessions, uint32_t session_count) = 0;
  virtual void AttachWorker(const upstream::InstanceKey& key,
                            upstream::Attachment attachment) = 0;
  // Every link has been attached that there is.
  virtual void TakeOverDone() = 0;
  virtual void WorkerReady(const upstream::InstanceKey& key) = 0;
  virtual void DrainWorker(const upstream::InstanceKey& key, bool for_good,
                           absl::Duration deadline) = 0;
  virtual void DetachWorker(const upstream::InstanceKey& key) = 0;
  virtual void UseCounters(UniqueFd memfd, uint32_t slots) = 0;
  virtual void UseAccessLog(uint32_t worker_id, UniqueFd file) = 0;
  virtual void DrainAll(absl::Duration deadline) = 0;
};

// What the proxy tells the agent. Dropped while there is none.
class AgentReports {
 public:
  virtual ~AgentReports() = default;

  virtual void WorkerHello(const upstream::InstanceKey& key,
                           const upstream::WorkerTraits& traits) = 0;
  virtual void WorkerDrained(const upstream::InstanceKey& key,
                             uint32_t sessions_left) = 0;
  virtual void WorkerLinkLost(const upstream::InstanceKey& key) = 0;
  virtual void AllDrained() = 0;
  // For a person to read; who calls limits how often. `worker_id` 0: none.
  virtual void Warn(std::string_view text, uint32_t worker_id) = 0;
};

// Owned by main(). Thread: the loop's.
class AgentLink final : public AgentReports {
 public:
  // `loop` and `commands` outlive the link. `ready_uid` and `ready_warning`
  // are what each new agent hears first (ProxyReady).
  AgentLink(EventLoop& loop, AgentCommands& commands, uint32_t ready_uid,
            std::string ready_warning);

  // Listens to the keeper; `on_keeper_gone` when that channel closes.
  absl::Status Start(UniqueFd keeper, std::function<void()> on_keeper_gone);

  void WorkerHello(const upstream::InstanceKey& key,
                   const upstream::WorkerTraits& traits) override;
  void WorkerDrained(const upstream::InstanceKey& key,
                     uint32_t sessions_left) override;
  void WorkerLinkLost(const upstream::InstanceKey& key) override;
  void AllDrained() override;
  void Warn(std::string_view text, uint32_t worker_id) override;

 private:
  void OnKeeperMessage(std::string_view message, std::vector<UniqueFd> fds);
  void OnAgentMessage(std::string_view message, std::vector<UniqueFd> fds);
  void Obey(const apm::internal::v1::ToProxy& command,
            std::vector<UniqueFd>& fds);
  void SendToAgent(std::string_view message);

  EventLoop& loop_;
  AgentCommands& commands_;
  const uint32_t ready_uid_;
  const std::string ready_warning_;
  std::unique_ptr<Channel> keeper_;
  std::unique_ptr<Channel> agent_;
};

}  // namespace apm::proxy
