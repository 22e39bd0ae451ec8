// A worker's mistakes stay its own: a frame for a session that ended, or that
// belongs to another worker or to a dead proxy, is counted and dropped; an
// unusable one too.

#include "proxy/upstream/instance.h"

#include <algorithm>
#include <atomic>
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

#include "base/status/status_macros.h"
#include "ipc/frame_encoder.h"
#include "proxy/upstream/log_frame.h"
#include "proxy/upstream/worker.h"

namespace apm::upstream {
namespace {

using proxy::Add;
using proxy::SessionRecord;

constexpr auto kRelaxed = std::memory_order_relaxed;

// So many WebSockets are closed together, and so long after each other: their
// clients come back at once, all of them.
constexpr size_t kDrainBatch = 64;
constexpr absl::Duration kDrainBatchGap = absl::Milliseconds(10);

constexpr std::string_view kProxyRestarted = "proxy restarted";

bool IsTorn(const proxy::LinkRecord& record, uint64_t incarnation) {
  const uint64_t owner = record.owner.load(kRelaxed);
  return owner != 0 && owner != incarnation && record.marks.torn();
}

// By Prometheus's grammar.
bool IsMetricName(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == ':';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9');
         });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Instance>> Instance::Create(
    UpstreamContext& context, Worker& worker, const InstanceKey& key,
    Attachment attachment) {
  proxy::LinkRecord* record = context.links.link(attachment.link_record);
  if (record != nullptr && IsTorn(*record, context.sessions.incarnation())) {
    return absl::FailedPreconditionError(
        "a proxy died in the middle of a frame of this link");
  }
  ipc::WorkerLink::Options options;
  if (record != nullptr) options.marks = &record->marks;
  UniqueFd to_worker = std::move(attachment.pipes.to_worker);
  UniqueFd from_worker = std::move(attachment.pipes.from_worker);
  std::unique_ptr<Instance> instance(
      new Instance(context, worker, key, std::move(attachment)));
  APM_ASSIGN_OR_RETURN(
      instance->link_,
      ipc::WorkerLink::Create(context.loop, std::move(to_worker),
                              std::move(from_worker), context.read_scratch,
                              *instance, options));
  if (record != nullptr) instance->TakeOver(*record);
  return instance;
}

Instance::Instance(UpstreamContext& context, Worker& worker,
                   const InstanceKey& key, Attachment attachment)
    : context_(context),
      worker_(worker),
      key_(key),
      link_record_(attachment.link_record),
      stray_(context.loop, std::move(attachment.pipes.stray)) {
  if (!attachment.traits) return;
  heard_ = true;
  traits_ = *std::move(attachment.traits);
  said_hello_ = traits_ != WorkerTraits();
  UseTraits();
}

Instance::~Instance() {
  context_.loop.Cancel(drain_timer_);
  for (SessionRecord* record : closing_) context_.links.ReturnSession(*record);
}

// The order is for those who die in between. A link that nobody has had is new,
// and sessions noted under its number are those of a process that is gone:
// they are dropped before it has an owner. Of any other, sessions are noted
// until the worker has been told.
void Instance::TakeOver(proxy::LinkRecord& record) {
  const bool is_new = record.owner.load(kRelaxed) == 0;
  for (SessionRecord* dead : context_.links.TakeDead(link_record_)) {
    if (is_new) {
      context_.links.ReturnSession(*dead);
      continue;
    }
    const std::string id =
        FormatSessionId(dead->incarnation.load(kRelaxed),
                        dead->slot.load(kRelaxed), dead->random.load(kRelaxed));
    (void)ipc::AppendConnectionClosed(id, kProxyRestarted, Output());
    closing_.push_back(dead);
  }
  ipc::SetMark(record.marks.busy_in, false);
  ipc::SetMark(record.marks.busy_out, false);
  record.owner.store(context_.sessions.incarnation(), kRelaxed);
}

void Instance::OnSending() {
  for (SessionRecord* record : opening_) {
    record->incarnation.store(context_.sessions.incarnation(), kRelaxed);
  }
  opening_.clear();
  for (SessionRecord* record : closing_) context_.links.ReturnSession(*record);
  closing_.clear();
}

void Instance::OnAnnounced(Session& session) {
  session.announced = true;
  session.record = context_.links.TakeSession();
  if (session.record == nullptr) return;
  session.record->random.store(session.random, kRelaxed);
  session.record->slot.store(session.slot, kRelaxed);
  session.record->link.store(link_record_, kRelaxed);
  opening_.push_back(session.record);
}

// The worker has closed the session, or is gone.
void Instance::ForgetRecord(Session& session) {
  SessionRecord* record = std::exchange(session.record, nullptr);
  if (record == nullptr) return;
  if (record->incarnation.load(kRelaxed) == 0) std::erase(opening_, record);
  context_.links.ReturnSession(*record);
}

void Instance::Adopt(Session& session) {
  session.instance = this;
  sessions_.PushBack(session);
  if (session.kind == SessionKind::kHttp) {
    session.holds_credit = true;
    ++credit_used_;
  }
}

void Instance::ReturnCredit(Session& session) {
  if (!session.holds_credit) return;
  session.holds_credit = false;
  --credit_used_;
}

void Instance::Release(Session& session) {
  ReturnCredit(session);
  ForgetRecord(session);
  sessions_.Remove(session);
  if (draining_ && sessions_.empty()) ReportDrained();
}

std::string& Instance::Output() {
  Add(worker_.counters().frames_out);
  return link_->OutBuffer();
}

void Instance::SendConnectionClosed(Session& session, std::string_view reason) {
  if (!session.announced) return;
  // Cannot exceed a limit: the reasons are constants of ours.
  (void)ipc::AppendConnectionClosed(session.id(), reason, Output());
  if (session.record == nullptr) return;
  closing_.push_back(std::exchange(session.record, nullptr));
}

void Instance::Drain(bool for_good, absl::Duration deadline) {
  if (!draining_) {
    draining_ = true;
    if (understands_drain_) (void)ipc::AppendDrain({}, Output());
    DrainWebSockets(for_good);
  }
  context_.loop.Cancel(drain_timer_);
  drain_timer_ = kNoTimer;
  drain_reported_ = false;
  if (sessions_.empty()) {
    ReportDrained();
    return;
  }
  drain_timer_ = context_.loop.RunAfter(deadline, [this] {
    ReportDrained();
    // A peer that ends at once leaves the list: step first.
    for (Session* session = sessions_.front(); session != nullptr;) {
      SessionPeer& peer = *session->peer;
      const bool websocket = session->kind == SessionKind::kWebSocket;
      session = session->next;
      if (websocket) peer.OnDrainDeadline();
    }
  });
}

void Instance::DrainWebSockets(bool for_good) {
  DrainOrder order{.for_good = for_good,
                   .worker_answers = understands_drain_,
                   .spread = absl::ZeroDuration()};
  size_t count = 0;
  for (Session* session = sessions_.front(); session != nullptr;
       session = session->next) {
    if (session->kind != SessionKind::kWebSocket) continue;
    if (understands_drain_) (void)ipc::AppendDrain(session->id(), Output());
    order.spread = kDrainBatchGap * static_cast<int64_t>(count / kDrainBatch);
    session->peer->OnDrain(order);
    ++count;
  }
}

void Instance::ReportDrained() {
  context_.loop.Cancel(drain_timer_);
  drain_timer_ = kNoTimer;
  if (drain_reported_) return;
  drain_reported_ = true;
  context_.events.OnDrained(key_, static_cast<uint32_t>(sessions_.size()));
}

void Instance::MeetNewAgent(UniqueFd stray) {
  stray_.Use(std::move(stray));
  if (heard_) context_.events.OnHello(key_, traits_);
}

size_t Instance::CountUnanswered() const {
  size_t count = 0;
  for (const Session* session = sessions_.front(); session != nullptr;
       session = session->next) {
    if (session->kind == SessionKind::kHttp && !session->answered) ++count;
  }
  return count;
}

// The first frame proves it; a `hello` counts once, whenever it comes.
void Instance::Hear(const ipc::WorkerHead& head) {
  if (head.command == ipc::WorkerCommand::kHello) {
    if (said_hello_) return;
    said_hello_ = true;
    traits_ = TraitsOf(head);
    UseTraits();
  }
  heard_ = true;
  context_.events.OnHello(key_, traits_);
  worker_.DispatchQueued();
}

void Instance::UseTraits() {
  if (traits_.concurrency != 0) {
    concurrency_ = std::min(traits_.concurrency, kMaxConcurrency);
  }
  for (const std::string_view feature : traits_.features) {
    if (feature == "lean") head_detail_ = ipc::HeadDetail::kLean;
    if (feature == "accept") announces_accept_ = true;
    if (feature == "drain") understands_drain_ = true;
  }
}

void Instance::OnFrame(const ipc::WorkerHead& head, std::string_view payload) {
  Add(worker_.counters().frames_in);
  if (!heard_ || head.command == ipc::WorkerCommand::kHello) Hear(head);
  switch (head.command) {
    case ipc::WorkerCommand::kLog:
      WriteLog(head);
      return;
    case ipc::WorkerCommand::kMetric:
      CheckMetric(head);
      return;
    case ipc::WorkerCommand::kHello:  // Heard.
    // Valid, and without meaning to this version of the proxy.
    case ipc::WorkerCommand::kReady:
    case ipc::WorkerCommand::kAck:
      return;
    case ipc::WorkerCommand::kWrite:
    case ipc::WorkerCommand::kWriteRaw:
    case ipc::WorkerCommand::kCloseConnection:
    case ipc::WorkerCommand::kSaveSessionData:
    case ipc::WorkerCommand::kAccept:
    case ipc::WorkerCommand::kDrained:
      break;
  }
  Session* session = context_.sessions.Find(head.session);
  if (session == nullptr || session->instance != this) {
    Add(worker_.counters().late_frames);
    return;
  }
  OnSessionFrame(*session, head, payload);
}

void Instance::OnSessionFrame(Session& session, const ipc::WorkerHead& head,
                              std::string_view payload) {
  SessionPeer& peer = *session.peer;
  if (head.command == ipc::WorkerCommand::kSaveSessionData) {
    SaveData(session, head.session_data);
    return;
  }
  if (head.command == ipc::WorkerCommand::kCloseConnection) {
    worker_.Forget(session);
    peer.OnWorkerClosed(head.code, head.reason);
    worker_.DispatchQueued();
    return;
  }
  if (head.command == ipc::WorkerCommand::kDrained) {
    peer.OnWorkerDrained();
    return;
  }
  // An interim answer is not the answer yet. A WebSocket has no status: what
  // some write with 101 to accept it is a first write as any.
  const bool interim = session.kind == SessionKind::kHttp &&
                       head.x_status.value_or(200) < 200 &&
                       *head.x_status != ipc::WorkerHead::kInvalidNumber;
  const bool writes = head.command != ipc::WorkerCommand::kAccept && !interim;
  const bool first = writes && !session.answered;
  if (first) {
    session.answered = true;
    if (concurrency_ > 1) ReturnCredit(session);
  }
  peer.OnWorkerFrame(head, payload, first);
  if (first) worker_.DispatchQueued();
}

void Instance::WriteLog(const ipc::WorkerHead& head) {
  const size_t dropped = stray_.WriteLine(
      FormatLogLine(head.level, head.message, head.log_fields));
  Add(worker_.counters().stray_dropped_bytes, dropped);
}

// Nothing is collected yet; a worker's author hears of mistakes all the same.
void Instance::CheckMetric(const ipc::WorkerHead& head) {
  if (IsMetricName(head.metric_name) && head.metric_value && head.metric_type) {
    return;
  }
  Add(worker_.counters().frames_bad);
  worker_.WarnOfBadFrame("a metric without a usable name, value or type",
                         head.metric_name);
}

void Instance::SaveData(Session& session, std::string_view json) {
  const size_t before = session.saved_data.size();
  if (json.size() > kMaxSessionDataBytes ||
      !worker_.ReserveSaved(before, json.size())) {
    worker_.WarnOfBadFrame("session data over its limit", {});
    return;
  }
  session.saved_data.assign(json);
}

void Instance::OnBadFrame(ipc::HeadProblem problem,
                          std::string_view head_json) {
  Add(worker_.counters().frames_bad);
  worker_.WarnOfBadFrame(ipc::HeadProblemText(problem), head_json);
}

void Instance::OnStray(std::string_view bytes) {
  Add(worker_.counters().stray_bytes, bytes.size());
  Add(worker_.counters().stray_dropped_bytes, stray_.Write(bytes));
}

void Instance::OnWritable() {
  for (Session* session = sessions_.front(); session != nullptr;) {
    SessionPeer& peer = *session->peer;
    session = session->next;
    peer.OnWorkerWritable();
  }
}

void Instance::OnClosed(ipc::LinkEnd, const absl::Status&) {
  worker_.OnInstanceLost(*this);  // Destroys this.
}

}  // namespace apm::upstream
