#include "proxy/upstream/worker.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "base/status/status_macros.h"

namespace apm::upstream {
namespace {

using proxy::Add;

constexpr size_t kShownBytes = 200;  // Of a frame that cannot be obeyed.

}  // namespace

Worker::Worker(UpstreamContext& context, routing::WorkerSettings settings,
               proxy::WorkerCounters& counters)
    : context_(context), settings_(std::move(settings)), counters_(&counters) {}

Worker::~Worker() {
  while (!instances_.empty()) Remove(*instances_.back(), Loss::kDetached);
  while (!queue_.empty()) {
    Session& session = *queue_.front();
    SessionPeer& peer = *session.peer;
    Forget(session);
    peer.OnWorkerLost(Loss::kDetached);
  }
}

void Worker::UseSettings(routing::WorkerSettings settings) {
  settings_ = std::move(settings);
}

Session* Worker::Open(SessionKind kind, SessionPeer& peer) {
  if (open_sessions_ >= kMaxSessions) return nullptr;
  // Those who wait already come first.
  Instance* instance = queue_.empty() ? Choose(kind) : nullptr;
  if (instance == nullptr && queue_.size() >= kMaxQueuedSessions) {
    return nullptr;
  }
  Session& session = context_.sessions.Open();
  session.kind = kind;
  session.worker = this;
  session.peer = &peer;
  ++open_sessions_;
  retries_.OnRequest();
  if (instance != nullptr) {
    instance->Adopt(session);
  } else {
    Enqueue(session, /*in_front=*/false);
  }
  return &session;
}

void Worker::Enqueue(Session& session, bool in_front) {
  if (in_front) {
    queue_.PushFront(session);
  } else {
    queue_.PushBack(session);
  }
  Add(counters_->queued);
}

void Worker::End(Session& session, std::string_view reason) {
  if (session.instance != nullptr) {
    session.instance->SendConnectionClosed(session, reason);
  }
  Forget(session);
  DispatchQueued();
}

void Worker::Forget(Session& session) {
  saved_bytes_ -= session.saved_data.size();
  Instance* instance = session.instance;
  if (instance == nullptr) {
    queue_.Remove(session);
    Add(counters_->unqueued);
  }
  --open_sessions_;
  if (instance != nullptr) instance->Release(session);
  context_.sessions.Free(session);
}

Instance* Worker::Choose(SessionKind kind) {
  bool proven_serves = false;
  Instance* unproven = nullptr;
  size_t after_unproven = 0;
  for (size_t i = 0; i < instances_.size(); ++i) {
    if (next_instance_ >= instances_.size()) next_instance_ = 0;
    Instance& instance = *instances_[next_instance_++];
    if (instance.draining()) continue;
    proven_serves |= instance.proven();
    if (kind == SessionKind::kHttp && !instance.HasCredit()) continue;
    if (instance.proven()) return &instance;
    if (unproven != nullptr) continue;
    unproven = &instance;
    after_unproven = next_instance_;
  }
  if (proven_serves || unproven == nullptr) return nullptr;
  next_instance_ = after_unproven;
  return unproven;
}

void Worker::DispatchQueued() {
  // A peer that fails at once gives its credit back from inside.
  if (dispatching_) return;
  dispatching_ = true;
  while (!queue_.empty()) {
    Session& session = *queue_.front();
    Instance* instance = Choose(session.kind);
    if (instance == nullptr) break;
    queue_.Remove(session);
    Add(counters_->unqueued);
    instance->Adopt(session);
    session.peer->OnDispatched();
  }
  dispatching_ = false;
}

Instance* Worker::Find(const InstanceKey& key) const {
  for (const std::unique_ptr<Instance>& instance : instances_) {
    if (instance->key() == key) return instance.get();
  }
  return nullptr;
}

absl::Status Worker::Attach(const InstanceKey& key, Attachment attachment) {
  if (Instance* known = Find(key); known != nullptr) {
    known->MeetNewAgent(std::move(attachment.pipes.stray));
    return absl::OkStatus();
  }
  APM_ASSIGN_OR_RETURN(
      std::unique_ptr<Instance> instance,
      Instance::Create(context_, *this, key, std::move(attachment)));
  instances_.push_back(std::move(instance));
  DispatchQueued();
  return absl::OkStatus();
}

void Worker::MarkReady(const InstanceKey& key) {
  Instance* instance = Find(key);
  if (instance == nullptr) return;
  instance->MarkReady();
  DispatchQueued();
}

void Worker::Drain(const InstanceKey& key, bool for_good,
                   absl::Duration deadline) {
  if (Instance* instance = Find(key); instance != nullptr) {
    instance->Drain(for_good, deadline);
    DispatchQueued();  // It may have been the last one that was proven.
  } else {
    context_.events.OnDrained(key, 0);
  }
}

void Worker::Detach(const InstanceKey& key) {
  Instance* instance = Find(key);
  if (instance == nullptr) return;
  instance->ReadToEnd();
  Remove(*instance, Loss::kDetached);
}

void Worker::OnInstanceLost(Instance& instance) {
  const InstanceKey key = instance.key();
  Remove(instance, Loss::kWorkerDied);
  context_.events.OnLinkLost(key);
}

void Worker::Remove(Instance& instance, Loss loss) {
  const auto found = std::find_if(
      instances_.begin(), instances_.end(),
      [&](const auto& candidate) { return candidate.get() == &instance; });
  // Out of the list first: nothing is dispatched to it from here on.
  const std::unique_ptr<Instance> lost = std::move(*found);
  instances_.erase(found);

  const size_t unanswered = lost->CountUnanswered();
  while (!lost->sessions().empty()) {
    Session& session = *lost->sessions().front();
    if (MayRetry(session, unanswered)) {
      lost->Release(session);
      session.instance = nullptr;
      session.announced = false;
      session.retried = true;
      Add(counters_->retries);
      Enqueue(session, /*in_front=*/true);
      session.peer->OnQueued();
      continue;
    }
    SessionPeer& peer = *session.peer;
    Forget(session);
    peer.OnWorkerLost(loss);
  }
  DispatchQueued();
}

bool Worker::MayRetry(const Session& session, size_t unanswered) {
  // With more than one request lost, any of them may be what killed it.
  return session.kind == SessionKind::kHttp && !session.answered &&
         !session.retried && unanswered == 1 && session.peer->MayRetry() &&
         retries_.Take();
}

bool Worker::ReserveSaved(size_t before, size_t after) {
  if (saved_bytes_ - before + after > kMaxSavedBytes) return false;
  saved_bytes_ = saved_bytes_ - before + after;
  return true;
}

void Worker::WarnOfBadFrame(std::string_view problem,
                            std::string_view head_json) {
  if (context_.loop.Now() < next_warning_) return;
  next_warning_ = context_.loop.Now() + absl::Minutes(1);
  const std::string_view shown = head_json.substr(0, kShownBytes);
  context_.events.OnWarning(
      settings_.id,
      absl::StrFormat("worker '%s' sent a frame that cannot be obeyed: %s: %s",
                      settings_.name, problem,
                      absl::CHexEscape({shown.data(), shown.size()})));
}

}  // namespace apm::upstream
