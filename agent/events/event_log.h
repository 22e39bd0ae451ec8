// The events of this node: append, list, and be told that there are more.
//
// A watcher is told without being handed anything: it lists from its cursor
// when it is ready. So a slow one holds no memory, and learns that it was too
// slow from the same error as one who comes back after a week.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/events/event.h"
#include "agent/events/event_ring.h"

namespace apm::events {

// Thread: any.
class EventLog {
 public:
  struct Query {
    std::optional<Cursor> after{};     // Absent: from the oldest that is kept.
    size_t max = kMaxEvents;           // Of events in the page.
    std::vector<std::string> names{};  // "web" or "web/0"; none: all events.
    bool newest = false;               // The last `max`, not the first.
  };

  struct Page {
    std::vector<Event> events;  // Oldest first.
    Cursor cursor;              // To go on from: behind all that was looked at.
  };

  // Ends when it is destroyed: the callback does not run then, and never will.
  class Subscription {
   public:
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription();

   private:
    friend class EventLog;
    Subscription(EventLog& log, std::function<void()> callback);

    EventLog& log_;
    std::list<std::function<void()>>::iterator place_;
  };

  explicit EventLog(std::unique_ptr<EventRing> ring) : ring_(std::move(ring)) {}

  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // For the keeper's store.
  int fd() const { return ring_->fd(); }

  Cursor Append(Event event);

  // kOutOfRange, with the next step, if `after` is of another epoch, of an
  // event that was dropped with others after it, or of none that has happened.
  absl::StatusOr<Page> List(const Query& query) const;

  // Behind the newest event.
  Cursor Now() const;

  // `callback` runs after every Append(), on its thread, and must be quick. It
  // may list, but neither append nor end a subscription. The log outlives the
  // subscription.
  std::unique_ptr<Subscription> Subscribe(std::function<void()> callback);

 private:
  // The loop appends, gRPC's threads list. Never held while a callback runs.
  mutable std::mutex ring_mutex_;
  const std::unique_ptr<EventRing> ring_;  // Guarded by ring_mutex_.

  // Held while callbacks run, which is how a subscription's end waits for its.
  std::mutex callbacks_mutex_;
  std::list<std::function<void()>> callbacks_;  // Guarded by callbacks_mutex_.
};

}  // namespace apm::events
