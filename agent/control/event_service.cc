#include "agent/control/event_service.h"

#include <memory>

#include <absl/status/statusor.h>

#include "agent/control/event_convert.h"
#include "agent/control/event_watch.h"
#include "agent/events/event_log.h"
#include "base/status/status_macros.h"

namespace apm::control {
namespace {

absl::StatusOr<v1::ListEventsResponse> ListEvents(
    const events::EventLog& log, const v1::ListEventsRequest& request) {
  APM_ASSIGN_OR_RETURN(const events::EventLog::Query query, FromProto(request));
  APM_ASSIGN_OR_RETURN(const events::EventLog::Page page, log.List(query));
  return ToProto(page, query.newest);
}

}  // namespace

grpc::ServerUnaryReactor* EventService::List(
    grpc::CallbackServerContext* context, const v1::ListEventsRequest* request,
    v1::ListEventsResponse* response) {
  return gate_.EnterHere(Method::kListEvents, *context, response,
                         [this, request](const auto& call) {
                           call->Answer(ListEvents(api_.events(), *request));
                         });
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* EventService::Watch(
    grpc::CallbackServerContext* context,
    const v1::WatchEventsRequest* request) {
  return gate_.EnterStream(
      Method::kWatchEvents, *context,
      std::make_shared<EventWatch>(gate_.open_calls(), api_.events(), *request),
      [](EventWatch& watch) { watch.Start(); });
}

}  // namespace apm::control
