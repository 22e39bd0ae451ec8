// apm.v1.LogService: what workers print.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "apm/v1/log.grpc.pb.h"
#include "base/os/event_loop.h"

namespace apm::control {

class LogService final : public v1::LogService::CallbackService {
 public:
  // `disk` is the loop of a thread that may block on files; it outlives the
  // service.
  LogService(Gate& gate, agent::AgentApi& api, EventLoop& disk)
      : gate_(gate), api_(api), disk_(disk) {}

  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context,
                                 const v1::ReadLogRequest* request,
                                 v1::ReadLogResponse* response) override;

 private:
  Gate& gate_;
  agent::AgentApi& api_;
  EventLoop& disk_;
};

}  // namespace apm::control
