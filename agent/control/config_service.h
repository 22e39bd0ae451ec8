// apm.v1.ConfigService: the configuration files of the node.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "apm/v1/config.grpc.pb.h"

namespace apm::control {

class ConfigService final : public v1::ConfigService::CallbackService {
 public:
  ConfigService(Gate& gate, agent::AgentApi& api) : gate_(gate), api_(api) {}

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const v1::ApplyConfigRequest* request,
                                  v1::ApplyConfigResponse* response) override;

 private:
  Gate& gate_;
  agent::AgentApi& api_;
};

}  // namespace apm::control
