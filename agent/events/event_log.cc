#include "agent/events/event_log.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "base/status/status_macros.h"

namespace apm::events {
namespace {

constexpr char kStartOver[] = "; list the workers again and watch from there";

absl::Status CheckCursor(const Cursor& cursor, const EventRing& ring) {
  if (cursor.epoch != ring.epoch()) {
    return absl::OutOfRangeError(
        absl::StrCat("the cursor ", Format(cursor),
                     " is of an earlier life of the daemon", kStartOver));
  }
  if (cursor.sequence >= ring.next()) {
    return absl::OutOfRangeError(absl::StrCat(
        "the cursor ", Format(cursor), " is ahead of the newest event, ",
        Format({ring.epoch(), ring.next() - 1}), kStartOver));
  }
  if (cursor.sequence + 1 < ring.first()) {
    return absl::OutOfRangeError(
        absl::StrCat("events after the cursor ", Format(cursor),
                     " are no longer kept, the oldest is ",
                     Format({ring.epoch(), ring.first()}), kStartOver));
  }
  return absl::OkStatus();
}

bool Matches(const std::vector<std::string>& names, const Event& event) {
  if (names.empty()) return true;
  const std::string instance =
      event.generation > 0 ? absl::StrCat(event.worker, "/", event.instance)
                           : event.worker;
  return std::ranges::any_of(names, [&](const std::string& name) {
    return name == event.worker || name == instance;
  });
}

absl::Status Damaged(const Cursor& cursor) {
  return absl::DataLossError(
      absl::StrCat("the record of event ", Format(cursor), " is damaged"));
}

}  // namespace

Cursor EventLog::Append(Event event) {
  Cursor cursor;
  {
    const std::lock_guard lock(ring_mutex_);
    cursor = ring_->Append(std::move(event));
  }
  const std::lock_guard lock(callbacks_mutex_);
  for (const std::function<void()>& callback : callbacks_) callback();
  return cursor;
}

absl::StatusOr<EventLog::Page> EventLog::List(const Query& query) const {
  const std::lock_guard lock(ring_mutex_);
  if (query.after) APM_RETURN_IF_ERROR(CheckCursor(*query.after, *ring_));
  uint64_t from = query.after ? query.after->sequence + 1 : ring_->first();
  uint64_t to = ring_->next();
  Page page;
  while (from != to && page.events.size() < query.max) {
    const uint64_t sequence = query.newest ? --to : from++;
    std::optional<Event> event = ring_->At(sequence);
    if (!event) return Damaged({ring_->epoch(), sequence});
    if (Matches(query.names, *event)) page.events.push_back(*std::move(event));
  }
  if (query.newest) std::ranges::reverse(page.events);
  page.cursor = {ring_->epoch(), (query.newest ? ring_->next() : from) - 1};
  return page;
}

Cursor EventLog::Now() const {
  const std::lock_guard lock(ring_mutex_);
  return {ring_->epoch(), ring_->next() - 1};
}

std::unique_ptr<EventLog::Subscription> EventLog::Subscribe(
    std::function<void()> callback) {
  return std::unique_ptr<Subscription>(
      new Subscription(*this, std::move(callback)));
}

EventLog::Subscription::Subscription(EventLog& log,
                                     std::function<void()> callback)
    : log_(log) {
  const std::lock_guard lock(log_.callbacks_mutex_);
  place_ = log_.callbacks_.insert(log_.callbacks_.end(), std::move(callback));
}

EventLog::Subscription::~Subscription() {
  const std::lock_guard lock(log_.callbacks_mutex_);
  log_.callbacks_.erase(place_);
}

}  // namespace apm::events
