// apm.v1.LogService: what workers print.

#pragma once

#include <memory>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "agent/control/log_follow.h"
#include "apm/v1/log.grpc.pb.h"
#include "base/os/event_loop.h"

namespace apm::control {

class LogService final : public v1::LogService::CallbackService {
 public:
  // `loop` is the agent's, `reader` that of a thread that may block on files;
  // both outlive gRPC's calls.
  LogService(Gate& gate, agent::AgentApi& api, EventLoop& loop,
             EventLoop& reader);

  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context,
                                 const v1::ReadLogRequest* request,
                                 v1::ReadLogResponse* response) override;

  grpc::ServerWriteReactor<v1::FollowLogResponse>* Follow(
      grpc::CallbackServerContext* context,
      const v1::FollowLogRequest* request) override;

 private:
  Gate& gate_;
  agent::AgentApi& api_;
  const std::shared_ptr<LogReading> reading_;  // Of us and of the calls.
};

}  // namespace apm::control
