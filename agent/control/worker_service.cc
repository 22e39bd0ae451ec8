#include "agent/control/worker_service.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/worker_fields.h"
#include "agent/control/convert.h"
#include "agent/control/utf8.h"

namespace apm::control {
namespace {

// Answers `call` with the worker, or with the reason why not.
agent::ApiCallback<agent::WorkerView> AnswerWithWorker(
    CallPtr<v1::Worker> call) {
  return [call = std::move(call)](absl::StatusOr<agent::WorkerView> view) {
    if (!view.ok()) return call->Refuse(view.status());
    call->Answer(ToProto(*view));
  };
}

}  // namespace

grpc::ServerUnaryReactor* WorkerService::Create(
    Context* context, const v1::CreateWorkerRequest* request,
    v1::Worker* response) {
  return gate_.Enter(Method::kCreateWorker, *context, *request, response,
                     [this](const agent::Caller& caller, const auto& wanted,
                            const auto& call) {
                       const absl::StatusOr<config::WorkerFields> fields =
                           FromProto(wanted.config());
                       if (!fields.ok()) return call->Refuse(fields.status());
                       api_.Create(caller, *fields, wanted.validate_only(),
                                   !wanted.no_wait(), AnswerWithWorker(call));
                     });
}

grpc::ServerUnaryReactor* WorkerService::Get(
    Context* context, const v1::GetWorkerRequest* request,
    v1::Worker* response) {
  return gate_.Enter(
      Method::kGetWorker, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        AnswerWithWorker(call)(api_.Get(wanted.name()));
      });
}

grpc::ServerUnaryReactor* WorkerService::List(
    Context* context, const v1::ListWorkersRequest* request,
    v1::ListWorkersResponse* response) {
  return gate_.Enter(Method::kListWorkers, *context, *request, response,
                     [this](const auto& /*caller*/, const auto& /*request*/,
                            const auto& call) {
                       v1::ListWorkersResponse answer;
                       for (const agent::WorkerView& view : api_.List()) {
                         *answer.add_workers() = ToProto(view);
                       }
                       call->Answer(std::move(answer));
                     });
}

grpc::ServerUnaryReactor* WorkerService::Delete(
    Context* context, const v1::DeleteWorkerRequest* request,
    v1::DeleteWorkerResponse* response) {
  return gate_.Enter(
      Method::kDeleteWorker, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        api_.Delete(wanted.name(),
                    [call](const absl::StatusOr<agent::DeleteReport>& report) {
                      if (!report.ok()) return call->Refuse(report.status());
                      v1::DeleteWorkerResponse answer;
                      for (const std::string& survivor : report->survivors) {
                        answer.add_survivors(ToUtf8(survivor));
                      }
                      for (const std::string& warning : report->warnings) {
                        answer.add_warnings(ToUtf8(warning));
                      }
                      call->Answer(std::move(answer));
                    });
      });
}

template <typename Request>
grpc::ServerUnaryReactor* WorkerService::Operate(Method method, Verb verb,
                                                 const Context& context,
                                                 const Request& request,
                                                 v1::Worker* response) {
  return gate_.Enter(method, context, request, response,
                     [this, verb](const auto& /*caller*/, const auto& wanted,
                                  const auto& call) {
                       (api_.*verb)(wanted.name(), !wanted.no_wait(),
                                    AnswerWithWorker(call));
                     });
}

grpc::ServerUnaryReactor* WorkerService::Start(
    Context* context, const v1::StartWorkerRequest* request,
    v1::Worker* response) {
  return Operate(Method::kStartWorker, &agent::AgentApi::Start, *context,
                 *request, response);
}

grpc::ServerUnaryReactor* WorkerService::Stop(
    Context* context, const v1::StopWorkerRequest* request,
    v1::Worker* response) {
  return Operate(Method::kStopWorker, &agent::AgentApi::Stop, *context,
                 *request, response);
}

grpc::ServerUnaryReactor* WorkerService::Restart(
    Context* context, const v1::RestartWorkerRequest* request,
    v1::Worker* response) {
  return Operate(Method::kRestartWorker, &agent::AgentApi::Restart, *context,
                 *request, response);
}

grpc::ServerUnaryReactor* WorkerService::Reload(
    Context* context, const v1::ReloadWorkerRequest* request,
    v1::Worker* response) {
  return Operate(Method::kReloadWorker, &agent::AgentApi::Reload, *context,
                 *request, response);
}

grpc::ServerUnaryReactor* WorkerService::Scale(
    Context* context, const v1::ScaleWorkerRequest* request,
    v1::Worker* response) {
  return gate_.Enter(
      Method::kScaleWorker, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        const absl::Status valid = CheckScale(wanted);
        if (!valid.ok()) return call->Refuse(valid);
        api_.Scale(wanted.name(), wanted.instances(), !wanted.no_wait(),
                   AnswerWithWorker(call));
      });
}

}  // namespace apm::control
