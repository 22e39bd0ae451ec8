// One caller who watches events, for as long as he stays.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/control/stream_call.h"
#include "agent/events/event_log.h"
#include "apm/v1/event.pb.h"

namespace apm::control {

// Owned by: gRPC. Thread: any; the log's threads say that there is more.
class EventWatch final : public StreamCall<v1::WatchEventsResponse> {
 public:
  // `log` outlives gRPC's part of the call.
  EventWatch(OpenCalls& open_calls, events::EventLog& log,
             const v1::WatchEventsRequest& request);

  // Sends the first cursor, and from then on what happens.
  void Start();

 private:
  absl::StatusOr<bool> Next(v1::WatchEventsResponse& response) override;
  absl::Status Begin(v1::WatchEventsResponse& response);

  events::EventLog& log_;
  events::EventLog::Query query_;
  bool begun_ = false;
  uint64_t told_ = 0;  // The sequence of the last cursor that was sent.
  // Last, so that it ends first: its callback runs no more when we go.
  std::unique_ptr<events::EventLog::Subscription> subscription_;
};

}  // namespace apm::control
