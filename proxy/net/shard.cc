#include "proxy/net/shard.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/log/log.h"
#include "ipc/worker_link.h"
#include "proxy/counters.h"

namespace apm::net {
namespace {

using proxy::Add;

// Descriptors for workers' pipes, listeners, logs and channels.
constexpr uint64_t kOtherDescriptors = 1024;
// Clients above the limit that are being told so; the next ones are not told.
constexpr size_t kMaxRefusedAtOnce = 256;

uint32_t MostConnections() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return kMaxConnections;
  const uint64_t left = files.rlim_cur > 2 * kOtherDescriptors
                            ? files.rlim_cur - kOtherDescriptors
                            : files.rlim_cur / 2;
  return static_cast<uint32_t>(std::min<uint64_t>(left, kMaxConnections));
}

client_address::Policy MakePolicy(const routing::WorkerSettings& settings) {
  client_address::Policy policy;
  policy.trust_proxy = settings.trust_proxy;
  if (settings.trusted.empty()) return policy;
  const std::vector<std::string_view> entries(settings.trusted.begin(),
                                              settings.trusted.end());
  absl::StatusOr<client_address::TrustedPeers> trusted =
      client_address::TrustedPeers::Parse(entries);
  if (trusted.ok()) {
    policy.trusted = *std::move(trusted);
  } else {
    // The agent checked it; what cannot be read must not mean more trust.
    policy.trust_proxy = false;
    log::Error("worker '%s': trusted: %s: no peer is trusted", settings.name,
               trusted.status().ToString());
  }
  return policy;
}

}  // namespace

Shard::Shard(EventLoop& loop)
    : loop_(loop),
      read_scratch_(ipc::kLinkReadBytes),
      upstream_{loop, sessions_, links_, *this, read_scratch_},
      context_(loop, *this),
      most_connections_(MostConnections()),
      max_connections_(most_connections_) {
  context_.counters = &counters_.header();
}

Shard::~Shard() {
  reports_ = nullptr;  // What ends with us is no news.
  loop_.Cancel(drain_timer_);
  connections_.clear();  // Their sessions end while their workers are there.
}

void Shard::SetIncarnation(uint64_t incarnation) {
  sessions_.SetIncarnation(incarnation);
}

Route* Shard::FindRoute(uint32_t worker_id) {
  const auto found = routes_.find(worker_id);
  return found == routes_.end() ? nullptr : &found->second;
}

void Shard::ApplySnapshot(routing::Snapshot snapshot) {
  context_.limits = snapshot.limits;
  max_connections_ =
      snapshot.max_connections == 0
          ? most_connections_
          : std::min(snapshot.max_connections, most_connections_);
  for (auto& [id, route] : routes_) route.retired = true;
  for (routing::WorkerSettings& settings : snapshot.workers) {
    ApplyWorker(std::move(settings));
  }
  for (auto& [id, open] : listeners_) {
    if (open.listener.route->retired) StopListening(open);
  }
  something_unused_ = true;
  RemoveUnused();
}

void Shard::ApplyWorker(routing::WorkerSettings settings) {
  Route& route = routes_[settings.id];
  route.retired = false;
  route.policy = MakePolicy(settings);
  if (!settings.access_log && route.access_log) {
    FlushLogs();  // The list must not name a log that is gone.
    route.access_log.reset();
  }
  proxy::WorkerCounters& counters = counters_.worker(settings.counter_slot);
  if (route.worker) {
    route.worker->UseCounters(counters);
    route.worker->UseSettings(std::move(settings));
  } else {
    route.worker = std::make_unique<upstream::Worker>(
        upstream_, std::move(settings), counters);
  }
}

void Shard::AddListener(routing::ListenerSpec spec, UniqueFd socket) {
  Route* route = FindRoute(spec.worker_id);
  if (route == nullptr || route->retired) {
    log::Error("listener '%s' belongs to no worker that is known",
               spec.address);
    return;
  }
  // Known already after a restart of the agent: the socket is the same one,
  // and the connections it has accepted stay.
  OpenListener& open = listeners_[spec.id];
  open.listener.spec = std::move(spec);
  open.listener.route = route;
  open.listener.closing = context_.draining;
  if (context_.draining) return;
  open.acceptor.reset();
  open.acceptor = std::make_unique<Acceptor>(
      loop_, std::move(socket),
      [this, &listener = open.listener](UniqueFd client, Peer peer) {
        OnAccept(listener, std::move(client), std::move(peer));
      },
      [this] { Add(context_.counters->accept_errors); });
  const absl::Status started = open.acceptor->Start();
  if (!started.ok()) {
    log::Error("listener '%s': %s", open.listener.spec.address,
               started.ToString());
    open.acceptor.reset();
  }
}

void Shard::RemoveListener(uint32_t id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  StopListening(found->second);
  RemoveUnused();
}

void Shard::StopListening(OpenListener& open) {
  open.acceptor.reset();
  open.listener.closing = true;
  something_unused_ = true;
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (&connection->listener() == &open.listener) connection->BeginDrain();
  }
}

void Shard::UseLinkRecords(UniqueFd links, uint32_t link_count,
                           UniqueFd sessions, uint32_t session_count) {
  const absl::Status used = links_.Use(std::move(links), link_count,
                                       std::move(sessions), session_count);
  if (!used.ok()) log::Error("link records: %s", used.ToString());
}

void Shard::TakeOverDone() { links_.ForgetDead(); }

void Shard::AttachWorker(const upstream::InstanceKey& key,
                         upstream::Attachment attachment) {
  Route* route = FindRoute(key.worker_id);
  if (route == nullptr) {
    log::Error("an instance of worker %d, which is not known, was attached",
               key.worker_id);
    reports_->WorkerLinkLost(key);
    return;
  }
  const absl::Status attached =
      route->worker->Attach(key, std::move(attachment));
  if (!attached.ok()) {
    log::Error("attach instance %d of worker '%s': %s", key.instance,
               route->worker->settings().name, attached.ToString());
    reports_->WorkerLinkLost(key);
  }
}

void Shard::WorkerReady(const upstream::InstanceKey& key) {
  if (Route* route = FindRoute(key.worker_id); route != nullptr) {
    route->worker->MarkReady(key);
  }
}

void Shard::DrainWorker(const upstream::InstanceKey& key, bool for_good,
                        absl::Duration deadline) {
  if (Route* route = FindRoute(key.worker_id); route != nullptr) {
    route->worker->Drain(key, for_good, deadline);
  } else {
    reports_->WorkerDrained(key, 0);
  }
}

void Shard::DetachWorker(const upstream::InstanceKey& key) {
  if (Route* route = FindRoute(key.worker_id); route != nullptr) {
    route->worker->Detach(key);
    something_unused_ |= route->retired;
    RemoveUnused();
  }
}

void Shard::UseCounters(UniqueFd memfd, uint32_t slots) {
  const absl::Status used = counters_.Use(std::move(memfd), slots);
  if (!used.ok()) {
    log::Error("counters: %s", used.ToString());
    return;
  }
  context_.counters = &counters_.header();
  for (auto& [id, route] : routes_) {
    route.worker->UseCounters(
        counters_.worker(route.worker->settings().counter_slot));
  }
}

void Shard::UseAccessLog(uint32_t worker_id, UniqueFd file) {
  FlushLogs();  // The list must not name a log that is gone.
  if (Route* route = FindRoute(worker_id); route != nullptr) {
    route->access_log = std::make_unique<proxy::AccessLog>(std::move(file));
  }
}

void Shard::DrainAll(absl::Duration deadline) {
  context_.draining = true;
  report_drained_ = true;
  for (auto& [id, open] : listeners_) {
    open.acceptor.reset();
    open.listener.closing = true;
  }
  for (const std::unique_ptr<Connection>& connection : connections_) {
    connection->BeginDrain();
  }
  loop_.Cancel(drain_timer_);
  drain_timer_ = loop_.RunAfter(deadline, [this] {
    drain_timer_ = kNoTimer;
    for (const std::unique_ptr<Connection>& connection : connections_) {
      connection->Abort("proxy stops");
    }
  });
  ReportIfDrained();
}

void Shard::ReportIfDrained() {
  if (!report_drained_ || !connections_.empty()) return;
  report_drained_ = false;
  loop_.Cancel(drain_timer_);
  drain_timer_ = kNoTimer;
  reports_->AllDrained();
}

void Shard::OnAccept(Listener& listener, UniqueFd socket, Peer peer) {
  const bool full = connections_.size() >= max_connections_;
  if (full && connections_.size() >= max_connections_ + kMaxRefusedAtOnce) {
    Add(context_.counters->accept_errors);
    return;
  }
  Add(context_.counters->connections_opened);
  connections_.push_back(std::make_unique<Connection>(
      context_, listener, std::move(peer), std::move(socket)));
  Connection& connection = *connections_.back();
  connection.index = connections_.size() - 1;
  if (!connection.Start().ok()) {
    Add(context_.counters->accept_errors);
    connection.Abort("cannot be watched");
  } else if (full) {
    connection.RefuseOverload();
  }
}

void Shard::Mark(Connection& connection) {
  if (connection.marked) return;
  connection.marked = true;
  marked_.push_back(&connection);
  if (end_of_turn_due_) return;
  end_of_turn_due_ = true;
  loop_.AtEndOfTurn([this] { EndOfTurn(); });
}

void Shard::EndOfTurn() {
  // Grows while it runs: the end of one connection's work may be the start of
  // another's. `marked` stays set during a connection's own turn, so that it
  // is in the list once, and never after its destruction.
  for (size_t i = 0; i < marked_.size(); ++i) {
    Connection& connection = *marked_[i];
    connection.EndOfTurn();
    if (connection.closed()) {
      Destroy(connection);
    } else {
      connection.marked = false;
    }
  }
  marked_.clear();
  end_of_turn_due_ = false;
  FlushLogs();
  RemoveUnused();
  ReportIfDrained();
}

void Shard::Destroy(Connection& connection) {
  Add(context_.counters->connections_closed);
  if (connection.listener().closing) something_unused_ = true;
  const size_t index = connection.index;
  std::swap(connections_[index], connections_.back());
  connections_[index]->index = index;
  connections_.pop_back();
}

void Shard::FlushLogs() {
  for (proxy::AccessLog* log : context_.logs_to_flush) log->Flush();
  context_.logs_to_flush.clear();
}

bool Shard::HasListener(const Route& route) const {
  return std::any_of(
      listeners_.begin(), listeners_.end(),
      [&](const auto& entry) { return entry.second.listener.route == &route; });
}

void Shard::RemoveUnused() {
  if (!something_unused_) return;
  something_unused_ = false;
  std::erase_if(listeners_, [](const auto& entry) {
    return !entry.second.acceptor && entry.second.listener.connections == 0;
  });
  std::erase_if(routes_, [this](const auto& entry) {
    const Route& route = entry.second;
    return route.retired && route.worker->idle() && !HasListener(route);
  });
}

void Shard::OnHello(const upstream::InstanceKey& key,
                    const upstream::WorkerTraits& traits) {
  if (reports_ != nullptr) reports_->WorkerHello(key, traits);
}

void Shard::OnDrained(const upstream::InstanceKey& key,
                      uint32_t sessions_left) {
  if (reports_ != nullptr) reports_->WorkerDrained(key, sessions_left);
}

void Shard::OnLinkLost(const upstream::InstanceKey& key) {
  if (reports_ != nullptr) reports_->WorkerLinkLost(key);
  something_unused_ = true;
}

void Shard::OnWarning(uint32_t worker_id, std::string_view text) {
  log::Warning("%s", std::string(text));
  reports_->Warn(text, worker_id);
}

}  // namespace apm::net
