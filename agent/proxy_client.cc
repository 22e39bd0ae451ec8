#include "agent/proxy_client.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "apm/internal/v1/proxy.pb.h"
#include "base/fault/fault.h"
#include "base/log/log.h"
#include "base/os/channel.h"
#include "base/os/unique_fd.h"

namespace apm::agent {
namespace {

namespace pb = ::apm::internal::v1;

// Every message about an instance has the same three fields.
template <typename Message>
LinkKey LinkOf(const Message& message) {
  return LinkKey{message.worker_id(), message.instance(), message.generation()};
}

template <typename Message>
void SetLink(const LinkKey& link, Message& message) {
  message.set_worker_id(link.worker_id);
  message.set_instance(link.instance);
  message.set_generation(link.generation);
}

WorkerTraits DecodeTraits(const pb::WorkerTraits& message) {
  return {message.connector(),
          message.concurrency(),
          {message.features().begin(), message.features().end()}};
}

}  // namespace

absl::Status ProxyClient::Connect(UniqueFd channel) {
  channel_ = std::make_unique<Channel>(loop_, std::move(channel));
  return channel_->Start(
      [this](std::string_view message, const std::vector<UniqueFd>&) {
        OnMessage(message);
      },
      [this](const absl::Status& reason) { events_.OnProxyGone(reason); });
}

template <typename Message>
void ProxyClient::Send(const Message& message, std::span<const int> fds) {
  if (channel_ == nullptr || channel_->closed()) return;
  fault::Point("agent.proxy.send", message.body_case());
  if (absl::Status sent = channel_->Send(message.SerializeAsString(), fds);
      !sent.ok()) {
    log::Error("tell the proxy: %s", sent.ToString());
  }
  fault::Point("agent.proxy.sent", message.body_case());
}

void ProxyClient::SendCounters(int memfd, uint32_t slots) {
  pb::ToProxy message;
  message.mutable_counters()->set_slots(slots);
  const int fds[] = {memfd};
  Send(message, fds);
}

void ProxyClient::SendSnapshot(std::span<const RouteSpec> routes) {
  pb::ToProxy message;
  pb::Snapshot& snapshot = *message.mutable_snapshot();
  snapshot.set_version(++snapshot_version_);
  for (const RouteSpec& spec : routes) {
    pb::WorkerRoute& route = *snapshot.add_workers();
    route.set_id(spec.id);
    route.set_name(spec.name);
    route.set_counter_slot(spec.counter_slot);
    route.set_trust_proxy(spec.trust_proxy);
    for (const std::string& peer : spec.trusted) route.add_trusted(peer);
    route.set_access_log(spec.access_log);
  }
  Send(message);
}

void ProxyClient::UseAccessLog(uint32_t worker_id, int file) {
  pb::ToProxy message;
  message.mutable_access_log()->set_worker_id(worker_id);
  const int fds[] = {file};
  Send(message, fds);
}

void ProxyClient::AddListener(const ListenerSpec& listener) {
  pb::ToProxy message;
  pb::AddListener& add = *message.mutable_add_listener();
  add.set_id(listener.id);
  add.set_worker_id(listener.worker_id);
  add.set_address(listener.address);
  add.set_http(listener.http);
  add.set_websocket(listener.websocket);
  add.set_unix(listener.unix);
  const int fds[] = {listener.fd};
  Send(message, fds);
}

void ProxyClient::RemoveListener(uint32_t id) {
  pb::ToProxy message;
  message.mutable_remove_listener()->set_id(id);
  Send(message);
}

void ProxyClient::SendLinkRecords(const LinkRecordsFds& records) {
  pb::ToProxy message;
  message.mutable_link_records()->set_links(records.links);
  message.mutable_link_records()->set_sessions(records.sessions);
  const int fds[] = {records.links_fd, records.sessions_fd};
  Send(message, fds);
}

void ProxyClient::Attach(const LinkKey& link, const LinkPipes& pipes,
                         uint32_t record,
                         const std::optional<WorkerTraits>& traits) {
  pb::ToProxy message;
  pb::AttachWorker& attach = *message.mutable_attach_worker();
  SetLink(link, attach);
  attach.set_link_record(record);
  if (traits) {
    attach.mutable_traits()->set_connector(traits->connector);
    attach.mutable_traits()->set_concurrency(traits->concurrency);
    for (const std::string& feature : traits->features) {
      attach.mutable_traits()->add_features(feature);
    }
  }
  const int fds[] = {pipes.to_worker, pipes.from_worker, pipes.stray};
  Send(message, fds);
}

void ProxyClient::TakeOverDone() {
  pb::ToProxy message;
  message.mutable_take_over_done();
  Send(message);
}

void ProxyClient::Ready(const LinkKey& link) {
  pb::ToProxy message;
  SetLink(link, *message.mutable_worker_ready());
  Send(message);
}

void ProxyClient::Drain(const LinkKey& link, bool for_good,
                        absl::Duration deadline) {
  pb::ToProxy message;
  SetLink(link, *message.mutable_drain_worker());
  message.mutable_drain_worker()->set_for_good(for_good);
  message.mutable_drain_worker()->set_deadline_ms(
      static_cast<uint32_t>(absl::ToInt64Milliseconds(deadline)));
  Send(message);
}

void ProxyClient::Detach(const LinkKey& link) {
  pb::ToProxy message;
  SetLink(link, *message.mutable_detach_worker());
  Send(message);
}

void ProxyClient::OnMessage(std::string_view message) {
  pb::FromProxy from;
  if (!from.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    log::Error("the proxy sent %d bytes that are no message: ignored",
               message.size());
    return;
  }
  fault::Point("agent.proxy.heard", from.body_case());
  switch (from.body_case()) {
    case pb::FromProxy::kReady:
      events_.OnProxyReady(from.ready().uid(), from.ready().warning());
      return;
    case pb::FromProxy::kWorkerHello:
      events_.OnWorkerHello(LinkOf(from.worker_hello()),
                            DecodeTraits(from.worker_hello().traits()));
      return;
    case pb::FromProxy::kWorkerDrained:
      events_.OnWorkerDrained(LinkOf(from.worker_drained()),
                              from.worker_drained().sessions_left());
      return;
    case pb::FromProxy::kWorkerLinkLost:
      events_.OnWorkerLinkLost(LinkOf(from.worker_link_lost()));
      return;
    case pb::FromProxy::kAllDrained:
    case pb::FromProxy::kWarning:  // It stands in the log; events come later.
      return;
    case pb::FromProxy::BODY_NOT_SET:
      break;
  }
  log::Warning("the proxy sent a message this version does not know: ignored");
}

}  // namespace apm::agent
