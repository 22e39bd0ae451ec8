#include "agent/control/agent_service.h"

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/control/convert.h"
#include "agent/control/utf8.h"

namespace apm::control {

grpc::ServerUnaryReactor* AgentService::GetStatus(
    grpc::CallbackServerContext* context, const v1::GetStatusRequest* request,
    v1::GetStatusResponse* response) {
  return gate_.Enter(
      Method::kGetStatus, *context, *request, response,
      [this](const auto& /*caller*/, const auto& /*request*/,
             const auto& call) { call->Answer(ToProto(api_.Status())); });
}

grpc::ServerUnaryReactor* AgentService::Shutdown(
    grpc::CallbackServerContext* context, const v1::ShutdownRequest* request,
    v1::ShutdownResponse* response) {
  return gate_.Enter(
      Method::kShutdown, *context, *request, response,
      [this](const auto& /*caller*/, const auto& /*request*/,
             const auto& call) {
        api_.Shutdown([call](absl::StatusOr<agent::ShutdownReport> report) {
          if (!report.ok()) return call->Refuse(report.status());
          v1::ShutdownResponse answer;
          answer.set_workers_stopped(report->workers_stopped);
          for (const std::string& survivor : report->survivors) {
            answer.add_survivors(ToUtf8(survivor));
          }
          call->Answer(answer);
        });
      });
}

grpc::ServerUnaryReactor* AgentService::Upgrade(
    grpc::CallbackServerContext* context, const v1::UpgradeRequest* request,
    v1::UpgradeResponse* response) {
  return gate_.Enter(
      Method::kUpgrade, *context, *request, response,
      [this](const auto& /*caller*/, const auto& wanted, const auto& call) {
        if (!wanted.keeper()) {
          return call->Refuse(absl::InvalidArgumentError(
              "nothing to replace was named; what can be replaced while it "
              "runs is the keeper: apmctl upgrade --keeper"));
        }
        api_.UpgradeKeeper(
            [call](const absl::StatusOr<agent::UpgradeReport>& report) {
              if (!report.ok()) return call->Refuse(report.status());
              call->Answer(ToProto(*report));
            });
      });
}

}  // namespace apm::control
