// apm.v1.AgentService: the agent itself.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "apm/v1/agent.grpc.pb.h"

namespace apm::control {

class AgentService final : public v1::AgentService::CallbackService {
 public:
  AgentService(Gate& gate, agent::AgentApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override;
  grpc::ServerUnaryReactor* Shutdown(grpc::CallbackServerContext* context,
                                     const v1::ShutdownRequest* request,
                                     v1::ShutdownResponse* response) override;
  grpc::ServerUnaryReactor* Upgrade(grpc::CallbackServerContext* context,
                                    const v1::UpgradeRequest* request,
                                    v1::UpgradeResponse* response) override;

 private:
  Gate& gate_;
  agent::AgentApi& api_;
};

}  // namespace apm::control
