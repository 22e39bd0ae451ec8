// apm.v1.EventService: what has happened on this node.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "apm/v1/event.grpc.pb.h"

namespace apm::control {

// Never on the agent's loop: the log is for any thread.
class EventService final : public v1::EventService::CallbackService {
 public:
  EventService(Gate& gate, agent::AgentApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListEventsRequest* request,
                                 v1::ListEventsResponse* response) override;

  grpc::ServerWriteReactor<v1::WatchEventsResponse>* Watch(
      grpc::CallbackServerContext* context,
      const v1::WatchEventsRequest* request) override;

 private:
  Gate& gate_;
  agent::AgentApi& api_;
};

}  // namespace apm::control
