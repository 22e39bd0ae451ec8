// Events as messages of apm.v1, and what is asked for them back. Pure.

#pragma once

#include <optional>

#include <absl/status/statusor.h>

#include "agent/events/event.h"
#include "agent/events/event_log.h"
#include "apm/v1/event.pb.h"

namespace apm::control {

v1::EventCursor ToProto(const events::Cursor& cursor);
v1::Event ToProto(const events::Event& event);

// kInvalidArgument for more events than are ever kept.
absl::StatusOr<events::EventLog::Query> FromProto(
    const v1::ListEventsRequest& request);

events::Cursor FromProto(const v1::EventCursor& cursor);

// As much of `page` as one message can carry, which is nearly always all: of
// the newest the newest, else the first, with the cursor behind them.
v1::ListEventsResponse ToProto(const events::EventLog::Page& page, bool newest);

}  // namespace apm::control
