#include "agent/control/event_watch.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/control/event_convert.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

// Of events in one message: while it is on its way, more gather for the next.
constexpr size_t kBatch = 256;

// Who watches one quiet worker is told now and then how far that is, so that
// his cursor is still good when he comes back.
constexpr uint64_t kMaxUntold = 1000;

}  // namespace

EventWatch::EventWatch(OpenCalls& open_calls, events::EventLog& log,
                       const v1::WatchEventsRequest& request)
    : StreamCall(open_calls), log_(log) {
  if (request.has_after()) query_.after = FromProto(request.after());
  query_.max = kBatch;
  query_.names.assign(request.workers().begin(), request.workers().end());
}

void EventWatch::Start() {
  // Before the first look: what happens in between is told again, not missed.
  subscription_ = log_.Subscribe([this] { Pump(); });
  Pump();
}

absl::StatusOr<bool> EventWatch::Next(v1::WatchEventsResponse& response) {
  if (!std::exchange(begun_, true)) {
    APM_RETURN_IF_ERROR(Begin(response));
    return true;
  }
  APM_ASSIGN_OR_RETURN(const events::EventLog::Page page, log_.List(query_));
  v1::ListEventsResponse batch = ToProto(page, /*newest=*/false);
  query_.after = FromProto(batch.cursor());
  if (batch.events().empty() &&
      batch.cursor().sequence() - told_ < kMaxUntold) {
    return false;
  }
  told_ = batch.cursor().sequence();
  *response.mutable_events() = std::move(*batch.mutable_events());
  *response.mutable_cursor() = batch.cursor();
  return true;
}

absl::Status EventWatch::Begin(v1::WatchEventsResponse& response) {
  if (!query_.after) query_.after = log_.Now();
  // Judges the caller's cursor.
  APM_RETURN_IF_ERROR(log_.List({.after = query_.after, .max = 0}).status());
  told_ = query_.after->sequence;
  *response.mutable_cursor() = ToProto(*query_.after);
  return absl::OkStatus();
}

}  // namespace apm::control
