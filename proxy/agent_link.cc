#include "proxy/agent_link.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "apm/internal/v1/keeper.pb.h"
#include "apm/internal/v1/proxy.pb.h"
#include "base/fault/fault.h"
#include "base/log/log.h"
#include "base/os/channel.h"
#include "base/status/status_macros.h"

namespace apm::proxy {
namespace {

namespace pb = ::apm::internal::v1;

// Zero is "the default" in every message.
void SetIfGiven(uint32_t milliseconds, absl::Duration& value) {
  if (milliseconds != 0) value = absl::Milliseconds(milliseconds);
}
template <typename Given, typename Value>
void SetIfGiven(Given given, Value& value) {
  if (given != 0) value = given;
}

routing::ClientLimits DecodeLimits(const pb::ClientLimits& message) {
  routing::ClientLimits limits;
  SetIfGiven(message.head_timeout_ms(), limits.head_timeout);
  SetIfGiven(message.idle_timeout_ms(), limits.idle_timeout);
  SetIfGiven(message.max_requests(), limits.max_requests);
  SetIfGiven(message.body_grace_ms(), limits.body_grace);
  SetIfGiven(message.body_bytes_per_second(), limits.body_bytes_per_second);
  SetIfGiven(message.send_timeout_ms(), limits.send_timeout);
  SetIfGiven(message.ws_ping_ms(), limits.ws_ping_interval);
  SetIfGiven(message.ws_dead_ms(), limits.ws_dead_after);
  SetIfGiven(message.ws_accept_wait_ms(), limits.ws_accept_wait);
  SetIfGiven(message.ws_accept_timeout_ms(), limits.ws_accept_timeout);
  SetIfGiven(message.ws_drain_quiet_ms(), limits.ws_drain_quiet);
  SetIfGiven(message.ws_max_message_bytes(), limits.ws_max_message_bytes);
  SetIfGiven(message.max_held_bytes(), limits.max_held_bytes);
  return limits;
}

routing::WorkerSettings DecodeWorker(const pb::WorkerRoute& message) {
  routing::WorkerSettings worker;
  worker.id = message.id();
  worker.name = message.name();
  worker.counter_slot = message.counter_slot();
  worker.trust_proxy = message.trust_proxy();
  worker.trusted.assign(message.trusted().begin(), message.trusted().end());
  SetIfGiven(message.queue_timeout_ms(), worker.queue_timeout);
  SetIfGiven(message.request_timeout_ms(), worker.request_timeout);
  SetIfGiven(message.max_body_bytes(), worker.max_body_bytes);
  worker.access_log = message.access_log();
  return worker;
}

routing::Snapshot DecodeSnapshot(const pb::Snapshot& message) {
  routing::Snapshot snapshot;
  snapshot.version = message.version();
  snapshot.max_connections = message.max_connections();
  snapshot.limits = DecodeLimits(message.limits());
  for (const pb::WorkerRoute& worker : message.workers()) {
    snapshot.workers.push_back(DecodeWorker(worker));
  }
  return snapshot;
}

routing::ListenerSpec DecodeListener(const pb::AddListener& message) {
  return {.id = message.id(),
          .worker_id = message.worker_id(),
          .address = message.address(),
          .http = message.http(),
          .websocket = message.websocket(),
          .unix_socket = message.unix()};
}

template <typename Message>
upstream::InstanceKey DecodeKey(const Message& message) {
  return {message.worker_id(), message.instance(), message.generation()};
}

template <typename Message>
void EncodeKey(const upstream::InstanceKey& key, Message& message) {
  message.set_worker_id(key.worker_id);
  message.set_instance(key.instance);
  message.set_generation(key.generation);
}

// Zero counts: a worker that said nothing is none that says the default.
upstream::WorkerTraits DecodeTraits(const pb::WorkerTraits& message) {
  return {message.connector(),
          message.concurrency(),
          {message.features().begin(), message.features().end()}};
}

upstream::Attachment DecodeAttachment(const pb::AttachWorker& message,
                                      std::vector<UniqueFd>& fds) {
  upstream::Attachment attachment{
      {std::move(fds[0]), std::move(fds[1]), std::move(fds[2])},
      message.link_record(),
      {}};
  if (message.has_traits()) attachment.traits = DecodeTraits(message.traits());
  return attachment;
}

size_t DescriptorsOf(pb::ToProxy::BodyCase body) {
  switch (body) {
    case pb::ToProxy::kAttachWorker:
      return 3;
    case pb::ToProxy::kLinkRecords:
      return 2;
    case pb::ToProxy::kAddListener:
    case pb::ToProxy::kCounters:
    case pb::ToProxy::kAccessLog:
      return 1;
    case pb::ToProxy::kSnapshot:
    case pb::ToProxy::kRemoveListener:
    case pb::ToProxy::kWorkerReady:
    case pb::ToProxy::kDrainWorker:
    case pb::ToProxy::kDetachWorker:
    case pb::ToProxy::kTakeOverDone:
    case pb::ToProxy::kDrainAll:
    case pb::ToProxy::BODY_NOT_SET:
      return 0;
  }
  return 0;
}

}  // namespace

AgentLink::AgentLink(EventLoop& loop, AgentCommands& commands,
                     uint32_t ready_uid, std::string ready_warning)
    : loop_(loop),
      commands_(commands),
      ready_uid_(ready_uid),
      ready_warning_(std::move(ready_warning)) {}

absl::Status AgentLink::Start(UniqueFd keeper,
                              std::function<void()> on_keeper_gone) {
  keeper_ = std::make_unique<Channel>(loop_, std::move(keeper));
  return keeper_->Start(
      [this](std::string_view message, std::vector<UniqueFd> fds) {
        OnKeeperMessage(message, std::move(fds));
      },
      [gone = std::move(on_keeper_gone)](const absl::Status&) { gone(); });
}

void AgentLink::OnKeeperMessage(std::string_view message,
                                std::vector<UniqueFd> fds) {
  pb::AgentChannel channel;
  if (!channel.ParseFromArray(message.data(),
                              static_cast<int>(message.size())) ||
      fds.size() != 1) {
    log::Error("the keeper sent a message that is not a channel to the agent");
    return;
  }
  fault::Point("proxy.keeper.heard");
  commands_.SetIncarnation(channel.proxy_incarnation());
  agent_ = std::make_unique<Channel>(loop_, std::move(fds.front()));
  const absl::Status started = agent_->Start(
      [this](std::string_view text, std::vector<UniqueFd> agent_fds) {
        OnAgentMessage(text, std::move(agent_fds));
      },
      [this](const absl::Status&) {
        log::Info("the agent has gone; its last configuration keeps serving");
        agent_.reset();
      });
  if (!started.ok()) {
    log::Error("channel to the agent: %s", started.ToString());
    agent_.reset();
    return;
  }
  pb::FromProxy report;
  report.mutable_ready()->set_uid(ready_uid_);
  report.mutable_ready()->set_warning(ready_warning_);
  SendToAgent(report.SerializeAsString());
}

void AgentLink::OnAgentMessage(std::string_view message,
                               std::vector<UniqueFd> fds) {
  pb::ToProxy command;
  if (!command.ParseFromArray(message.data(),
                              static_cast<int>(message.size())) ||
      fds.size() != DescriptorsOf(command.body_case())) {
    log::Error("the agent sent a message that the proxy cannot read");
    return;
  }
  fault::Point("proxy.agent.heard", command.body_case());
  Obey(command, fds);
  fault::Point("proxy.agent.obeyed", command.body_case());
}

void AgentLink::Obey(const pb::ToProxy& command, std::vector<UniqueFd>& fds) {
  switch (command.body_case()) {
    case pb::ToProxy::kSnapshot:
      commands_.ApplySnapshot(DecodeSnapshot(command.snapshot()));
      return;
    case pb::ToProxy::kAddListener:
      commands_.AddListener(DecodeListener(command.add_listener()),
                            std::move(fds[0]));
      return;
    case pb::ToProxy::kRemoveListener:
      commands_.RemoveListener(command.remove_listener().id());
      return;
    case pb::ToProxy::kAttachWorker:
      commands_.AttachWorker(DecodeKey(command.attach_worker()),
                             DecodeAttachment(command.attach_worker(), fds));
      return;
    case pb::ToProxy::kWorkerReady:
      commands_.WorkerReady(DecodeKey(command.worker_ready()));
      return;
    case pb::ToProxy::kDrainWorker:
      commands_.DrainWorker(
          DecodeKey(command.drain_worker()), command.drain_worker().for_good(),
          absl::Milliseconds(command.drain_worker().deadline_ms()));
      return;
    case pb::ToProxy::kDetachWorker:
      commands_.DetachWorker(DecodeKey(command.detach_worker()));
      return;
    case pb::ToProxy::kCounters:
      commands_.UseCounters(std::move(fds[0]), command.counters().slots());
      return;
    case pb::ToProxy::kAccessLog:
      commands_.UseAccessLog(command.access_log().worker_id(),
                             std::move(fds[0]));
      return;
    case pb::ToProxy::kDrainAll:
      commands_.DrainAll(absl::Milliseconds(command.drain_all().deadline_ms()));
      return;
    case pb::ToProxy::kLinkRecords:
      commands_.UseLinkRecords(
          std::move(fds[0]), command.link_records().links(), std::move(fds[1]),
          command.link_records().sessions());
      return;
    case pb::ToProxy::kTakeOverDone:
      commands_.TakeOverDone();
      return;
    case pb::ToProxy::BODY_NOT_SET:
      return;  // A newer agent's word: not for this proxy.
  }
}

void AgentLink::SendToAgent(std::string_view message) {
  if (!agent_) return;
  const absl::Status sent = agent_->Send(message);
  if (!sent.ok()) log::Warning("report to the agent: %s", sent.ToString());
}

void AgentLink::WorkerHello(const upstream::InstanceKey& key,
                            const upstream::WorkerTraits& traits) {
  pb::FromProxy report;
  EncodeKey(key, *report.mutable_worker_hello());
  pb::WorkerTraits& to = *report.mutable_worker_hello()->mutable_traits();
  to.set_connector(traits.connector);
  to.set_concurrency(traits.concurrency);
  for (const std::string& feature : traits.features) to.add_features(feature);
  SendToAgent(report.SerializeAsString());
}

void AgentLink::WorkerDrained(const upstream::InstanceKey& key,
                              uint32_t sessions_left) {
  pb::FromProxy report;
  EncodeKey(key, *report.mutable_worker_drained());
  report.mutable_worker_drained()->set_sessions_left(sessions_left);
  SendToAgent(report.SerializeAsString());
}

void AgentLink::WorkerLinkLost(const upstream::InstanceKey& key) {
  pb::FromProxy report;
  EncodeKey(key, *report.mutable_worker_link_lost());
  SendToAgent(report.SerializeAsString());
}

void AgentLink::AllDrained() {
  pb::FromProxy report;
  report.mutable_all_drained();
  SendToAgent(report.SerializeAsString());
}

void AgentLink::Warn(std::string_view text, uint32_t worker_id) {
  pb::FromProxy report;
  report.mutable_warning()->set_text(std::string(text));
  report.mutable_warning()->set_worker_id(worker_id);
  SendToAgent(report.SerializeAsString());
}

}  // namespace apm::proxy
