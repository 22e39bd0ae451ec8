// One exchange between a client and a worker: an HTTP request with its answer,
// or a WebSocket. The point where the client's side of the proxy (net/) and
// the worker's side (upstream/) meet; neither knows the other's classes.
//
//   kept by          state
//   Worker's queue   waits for an instance: `instance` is null
//   Instance         dispatched; `answered` from the worker's first write
//
// A session ends once: by the worker (OnWorkerClosed, OnWorkerLost) or by its
// peer (Worker::End). After that its memory is another session's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "ipc/worker_head.h"

namespace apm::proxy {
struct SessionRecord;
}

namespace apm::upstream {

class Instance;
class Worker;

enum class SessionKind : uint8_t { kHttp, kWebSocket };

enum class Loss : uint8_t {
  kWorkerDied,  // Its pipes closed.
  kDetached,    // Planned: it was told to go.
};

// How a WebSocket leaves an instance that is to go.
struct DrainOrder {
  bool for_good = false;        // No other instance will serve the client.
  bool worker_answers = false;  // With OnWorkerDrained(), when it is through.
  absl::Duration spread;        // Not before so long: not all at one moment.
};

// The client's side of a session. No call may destroy the peer's connection
// at once: others of the same turn may still speak to it.
class SessionPeer {
 public:
  virtual ~SessionPeer() = default;

  // The session left the queue for an instance: append its first frame.
  virtual void OnDispatched() = 0;

  // The session is in the queue again, since MayRetry() said so.
  virtual void OnQueued() = 0;

  // A write, writeRaw or accept. `first` is true for the first write.
  virtual void OnWorkerFrame(const ipc::WorkerHead& head,
                             std::string_view payload, bool first) = 0;

  // closeConnection. The session is over.
  virtual void OnWorkerClosed(std::optional<int> code,
                              std::string_view reason) = 0;

  // The worker is gone without closing the session. The session is over.
  virtual void OnWorkerLost(Loss loss) = 0;

  // The instance takes bytes again after Instance::congested().
  virtual void OnWorkerWritable() = 0;

  // The instance is to go: end in good time, not within this call. This and
  // the next two are for WebSockets; HTTP just finishes.
  virtual void OnDrain(const DrainOrder& order) = 0;

  // The worker has nothing more to say.
  virtual void OnWorkerDrained() = 0;

  // The instance goes now: end.
  virtual void OnDrainDeadline() = 0;

  // May the session's first frame be sent again, to another instance? Only if
  // doing a thing twice is the same as once, and nothing of it is lost.
  virtual bool MayRetry() const = 0;
};

inline constexpr size_t kMaxSessionIdBytes = 48;

// Owned by SessionTable.
struct Session {
  std::string_view id() const { return {id_text, id_size}; }

  SessionKind kind = SessionKind::kHttp;
  bool announced = false;  // Its first frame has been appended.
  bool answered = false;
  bool retried = false;
  bool holds_credit = false;
  uint8_t id_size = 0;
  uint32_t slot = 0;
  uint64_t random = 0;
  char id_text[kMaxSessionIdBytes];

  Worker* worker = nullptr;
  Instance* instance = nullptr;
  SessionPeer* peer = nullptr;  // Null: the slot is free.
  // For the next proxy, while the worker knows of it; else null.
  proxy::SessionRecord* record = nullptr;
  std::string saved_data;  // JSON, from saveSessionData.

  // In the worker's queue or in the instance's list.
  Session* previous = nullptr;
  Session* next = nullptr;
};

// A list through the sessions themselves: no allocation a request.
class SessionList {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  Session* front() const { return first_; }

  void PushBack(Session& session) {
    session.previous = last_;
    session.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &session;
    last_ = &session;
    ++size_;
  }

  void PushFront(Session& session) {
    session.previous = nullptr;
    session.next = first_;
    (first_ != nullptr ? first_->previous : last_) = &session;
    first_ = &session;
    ++size_;
  }

  // REQUIRES: `session` is in this list.
  void Remove(Session& session) {
    (session.previous != nullptr ? session.previous->next : first_) =
        session.next;
    (session.next != nullptr ? session.next->previous : last_) =
        session.previous;
    session.previous = session.next = nullptr;
    --size_;
  }

 private:
  Session* first_ = nullptr;
  Session* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace apm::upstream
