#include "agent/control/event_convert.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "agent/control/utf8.h"

namespace apm::control {
namespace {

constexpr uint32_t kDefaultEvents = 1000;

// The client's limit for a message is 4 MiB.
constexpr size_t kMaxAnswerBytes = size_t{3} << 20;

v1::EventExit ToProto(const events::Exit& exit) {
  v1::EventExit proto;
  proto.set_code(exit.code);
  proto.set_signal(exit.signal);
  proto.set_core_dumped(exit.core_dumped);
  proto.set_max_rss_bytes(exit.max_rss_bytes);
  proto.set_cpu_ms(exit.cpu_ms);
  return proto;
}

}  // namespace

v1::EventCursor ToProto(const events::Cursor& cursor) {
  v1::EventCursor proto;
  proto.set_epoch(cursor.epoch);
  proto.set_sequence(cursor.sequence);
  return proto;
}

v1::Event ToProto(const events::Event& event) {
  v1::Event proto;
  *proto.mutable_cursor() = ToProto(event.cursor);
  proto.set_time_unix_us(absl::ToUnixMicros(event.time));
  proto.set_type(ToUtf8(event.type));
  proto.set_severity(std::string(events::Name(event.severity)));
  proto.set_worker(ToUtf8(event.worker));
  proto.set_instance(event.instance);
  proto.set_generation(event.generation);
  proto.set_pid(event.pid);
  proto.set_from_state(ToUtf8(event.from_state));
  proto.set_to_state(ToUtf8(event.to_state));
  proto.set_text(ToUtf8(event.text));
  if (event.exit) *proto.mutable_exit() = ToProto(*event.exit);
  for (const std::string& line : event.stderr_tail) {
    proto.add_stderr_tail(ToUtf8(line));
  }
  return proto;
}

events::Cursor FromProto(const v1::EventCursor& cursor) {
  return {.epoch = cursor.epoch(), .sequence = cursor.sequence()};
}

absl::StatusOr<events::EventLog::Query> FromProto(
    const v1::ListEventsRequest& request) {
  if (request.max() > events::kMaxEvents) {
    return absl::InvalidArgumentError(
        absl::StrCat(request.max(), " events are too many; ask for at most ",
                     events::kMaxEvents));
  }
  events::EventLog::Query query;
  if (request.has_after()) query.after = FromProto(request.after());
  query.max = request.max() == 0 ? kDefaultEvents : request.max();
  query.names.assign(request.workers().begin(), request.workers().end());
  query.newest = request.newest();
  return query;
}

v1::ListEventsResponse ToProto(const events::EventLog::Page& page,
                               bool newest) {
  v1::ListEventsResponse proto;
  *proto.mutable_cursor() = ToProto(page.cursor);
  const size_t count = page.events.size();
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const events::Event& event = page.events[newest ? count - 1 - i : i];
    v1::Event message = ToProto(event);
    bytes += message.ByteSizeLong();
    if (bytes > kMaxAnswerBytes) {
      if (!newest)
        *proto.mutable_cursor() =
            proto.events(proto.events_size() - 1).cursor();
      break;
    }
    *proto.add_events() = std::move(message);
  }
  if (newest) {
    std::reverse(proto.mutable_events()->begin(),
                 proto.mutable_events()->end());
  }
  return proto;
}

}  // namespace apm::control
