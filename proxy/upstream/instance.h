// One process of a worker, as the proxy sees it: a link of frames, the
// sessions on it, and how many more it may have.
//
// Credit counts HTTP sessions from dispatch to their first write (to their end
// where the worker takes one at a time): what waits, waits in Worker's queue,
// where it has a deadline, and not inside the pipe.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/timers.h"
#include "ipc/session_head.h"
#include "ipc/worker_link.h"
#include "proxy/link_records.h"
#include "proxy/upstream/instance_key.h"
#include "proxy/upstream/session.h"
#include "proxy/upstream/stray_pipe.h"
#include "proxy/upstream/upstream_context.h"

namespace apm::upstream {

// A worker that says no hello is one written for the original protocol.
inline constexpr uint32_t kDefaultConcurrency = 64;
inline constexpr uint32_t kMaxConcurrency = 10'000;
inline constexpr size_t kMaxSessionDataBytes = size_t{256} << 10;

// Owned by its Worker. Thread: the shard's.
class Instance final : public ipc::WorkerLink::Handler {
 public:
  // `context` and `worker` outlive the instance. Takes over a link that a dead
  // proxy had: tells the worker which sessions died, and knows from the traits
  // what it said. kFailedPrecondition if that proxy left it torn.
  static absl::StatusOr<std::unique_ptr<Instance>> Create(
      UpstreamContext& context, Worker& worker, const InstanceKey& key,
      Attachment attachment);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance() override;

  const InstanceKey& key() const { return key_; }
  bool draining() const { return draining_; }
  // It has spoken, or the agent vouches for it: it will not end at once.
  bool proven() const { return heard_ || ready_; }
  bool HasCredit() const { return credit_used_ < concurrency_; }
  bool congested() const { return link_->congested(); }
  ipc::HeadDetail head_detail() const { return head_detail_; }
  // The worker says `accept` when it took a WebSocket.
  bool announces_accept() const { return announces_accept_; }

  // Takes the session, and credit if it is HTTP. Its peer appends the first
  // frame to Output().
  void Adopt(Session& session);

  // Gives the session up, with its credit; tells the worker nothing.
  void Release(Session& session);

  // Frames to the worker; they leave at the end of the loop turn.
  std::string& Output();

  // The session's first frame has been appended.
  void OnAnnounced(Session& session);

  // The client ended the session: the worker hears it, if it knew of it.
  void SendConnectionClosed(Session& session, std::string_view reason);

  // The agent counts it as ready.
  void MarkReady() { ready_ = true; }

  // No new sessions; WebSockets end. Reports when no session is left, or at
  // the deadline. `for_good`: nobody takes this instance's place.
  void Drain(bool for_good, absl::Duration deadline);

  // Reads what the worker has left. REQUIRES: not called from a callback of
  // the link.
  void ReadToEnd() { link_->DrainReads(); }

  // Repeats what the one before has heard; stray output goes to `stray`.
  void MeetNewAgent(UniqueFd stray);

  SessionList& sessions() { return sessions_; }

  // Where the lost sessions are without an answer: those in doubt.
  size_t CountUnanswered() const;

  void OnFrame(const ipc::WorkerHead& head, std::string_view payload) override;
  void OnBadFrame(ipc::HeadProblem problem,
                  std::string_view head_json) override;
  void OnStray(std::string_view bytes) override;
  void OnSending() override;
  void OnWritable() override;
  void OnClosed(ipc::LinkEnd end, const absl::Status& status) override;

 private:
  Instance(UpstreamContext& context, Worker& worker, const InstanceKey& key,
           Attachment attachment);

  void TakeOver(proxy::LinkRecord& record);
  void ForgetRecord(Session& session);
  void Hear(const ipc::WorkerHead& head);
  void UseTraits();
  void OnSessionFrame(Session& session, const ipc::WorkerHead& head,
                      std::string_view payload);
  void WriteLog(const ipc::WorkerHead& head);
  void CheckMetric(const ipc::WorkerHead& head);
  void SaveData(Session& session, std::string_view json);
  void ReturnCredit(Session& session);
  void DrainWebSockets(bool for_good);
  void ReportDrained();

  UpstreamContext& context_;
  Worker& worker_;
  const InstanceKey key_;
  std::unique_ptr<ipc::WorkerLink> link_;
  const uint32_t link_record_;
  // Records of sessions whose first frame, or whose connectionClosed, has not
  // left yet: they count, or are free, from the write that carries it.
  std::vector<proxy::SessionRecord*> opening_;
  std::vector<proxy::SessionRecord*> closing_;
  StrayPipe stray_;
  SessionList sessions_;

  bool heard_ = false;  // A first valid frame.
  bool said_hello_ = false;
  bool ready_ = false;
  WorkerTraits traits_;
  uint32_t concurrency_ = kDefaultConcurrency;
  uint32_t credit_used_ = 0;
  ipc::HeadDetail head_detail_ = ipc::HeadDetail::kFull;
  bool announces_accept_ = false;
  bool understands_drain_ = false;

  bool draining_ = false;
  bool drain_reported_ = false;
  TimerId drain_timer_ = kNoTimer;
};

}  // namespace apm::upstream
