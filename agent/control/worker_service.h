// apm.v1.WorkerService: the programs that the agent supervises.

#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "agent/agent_api.h"
#include "agent/control/gate.h"
#include "apm/v1/worker.grpc.pb.h"

namespace apm::control {

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  WorkerService(Gate& gate, agent::AgentApi& api) : gate_(gate), api_(api) {}

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  Reactor* Create(Context* context, const v1::CreateWorkerRequest* request,
                  v1::Worker* response) override;
  Reactor* Get(Context* context, const v1::GetWorkerRequest* request,
               v1::Worker* response) override;
  Reactor* List(Context* context, const v1::ListWorkersRequest* request,
                v1::ListWorkersResponse* response) override;
  Reactor* Delete(Context* context, const v1::DeleteWorkerRequest* request,
                  v1::DeleteWorkerResponse* response) override;
  Reactor* Start(Context* context, const v1::StartWorkerRequest* request,
                 v1::Worker* response) override;
  Reactor* Stop(Context* context, const v1::StopWorkerRequest* request,
                v1::Worker* response) override;
  Reactor* Restart(Context* context, const v1::RestartWorkerRequest* request,
                   v1::Worker* response) override;
  Reactor* Reload(Context* context, const v1::ReloadWorkerRequest* request,
                  v1::Worker* response) override;
  Reactor* Scale(Context* context, const v1::ScaleWorkerRequest* request,
                 v1::Worker* response) override;

 private:
  // Start, Stop, Restart and Reload: of one form, here as in AgentApi.
  using Verb = void (agent::AgentApi::*)(std::string_view name, bool wait,
                                         agent::ApiCallback<agent::WorkerView>);
  template <typename Request>
  Reactor* Operate(Method method, Verb verb, const Context& context,
                   const Request& request, v1::Worker* response);

  Gate& gate_;
  agent::AgentApi& api_;
};

}  // namespace apm::control
